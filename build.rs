//! Links the unwinder into the program.
//!
//! `libgcc_s.so.1` is the only other shared library besides libc, and loading it costs a tenth of the
//! time that a whole `ipcx msgq send` takes, which every shell loop would feel. `libgcc_eh.a` is
//! the same code and comes with every gcc. Without it, or on musl, nothing changes.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let gnu = std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    let native = std::env::var("HOST").ok() == std::env::var("TARGET").ok();
    if gnu && native && has_static_unwinder() {
        // The archive must come before the standard library asks for its symbols.
        println!("cargo:rustc-link-arg-bins=-Wl,--push-state,--whole-archive,-lgcc_eh,--pop-state,--as-needed");
    }
}

fn has_static_unwinder() -> bool {
    let found = Command::new(std::env::var_os("RUSTC_LINKER").unwrap_or("cc".into()))
        .arg("-print-file-name=libgcc_eh.a")
        .output();
    found.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_absolute())
}
