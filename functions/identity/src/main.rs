//! The container of identity: the function that `FUNCTION_TARGET` names, or all.

fn main() -> std::process::ExitCode {
    google::run(identity::domain)
}
