//! Links against the C library alone: memcpy and the code before `main`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bins=-lc");
}
