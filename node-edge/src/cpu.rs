//! What the processor can do.

/// Whether the processor lacks instructions for AES, so that ChaCha20 is the faster cipher.
pub fn prefer_chacha() -> bool {
    #[cfg(target_arch = "aarch64")]
    return !std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(target_arch = "x86_64")]
    return !std::arch::is_x86_feature_detected!("aes");
    #[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
    return true;
}
