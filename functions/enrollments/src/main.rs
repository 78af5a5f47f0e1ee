//! The container of enrollments: the function that `FUNCTION_TARGET` names, or all.

fn main() -> std::process::ExitCode {
    google::run(enrollments::domain)
}
