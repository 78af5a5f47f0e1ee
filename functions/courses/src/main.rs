//! The container of courses: the function that `FUNCTION_TARGET` names, or all.

fn main() -> std::process::ExitCode {
    google::run(courses::domain)
}
