//! The entry. With glibc it is C's own: what Rust does before `main` (a handler for stack overflow,
//! for which it reads /proc/self/maps) takes a tenth of the time of a whole `ipcx msgq send`, and
//! every shell loop would feel it. What we need of it, `sys::stdio` does.
#![cfg_attr(target_env = "gnu", no_main)]

#[cfg(target_env = "gnu")]
#[allow(unsafe_code)] // The attribute, not a block: no other function here is called `main`.
#[unsafe(no_mangle)]
extern "C" fn main(_: std::ffi::c_int, _: *const *const std::ffi::c_char) -> std::ffi::c_int {
    // A panic must not leave through C.
    std::panic::catch_unwind(|| ipcx::run(std::env::args_os())).map_or(101, Into::into)
}

#[cfg(not(target_env = "gnu"))]
fn main() -> std::process::ExitCode {
    ipcx::run(std::env::args_os()).into()
}
