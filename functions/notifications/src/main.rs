//! The container of notifications: the function that `FUNCTION_TARGET` names, or all.

fn main() -> std::process::ExitCode {
    google::run(notifications::domain)
}
