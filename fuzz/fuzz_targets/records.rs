#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ipcx::probe::records(bytes));
