use std::process::ExitCode;

fn main() -> ExitCode {
    ipcx::run(std::env::args_os())
}
