//! The only randomness of the world: a hash of the seed and of what is being decided.

/// A number that depends on nothing but its arguments (splitmix64 over an FNV-1a hash of the label).
pub fn draw(seed: u64, label: &str, number: u64) -> u64 {
    let hash = label.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut mixed = seed ^ hash.rotate_left(17) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number in `0..limit` (0 when the limit is 0).
pub fn below(seed: u64, label: &str, number: u64, limit: u64) -> u64 {
    draw(seed, label, number).checked_rem(limit).unwrap_or(0)
}

/// A 22 character identifier in the alphabet of Elasticsearch's URL-safe UUIDs.
pub fn uuid(seed: u64, label: &str, number: u64) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..22_u64)
        .map(|place| {
            let byte = below(seed, label, number.wrapping_mul(31).wrapping_add(place), 64);
            char::from(ALPHABET[usize::try_from(byte).unwrap_or(0)])
        })
        .collect()
}

/// An identifier in the 8-4-4-4-12 form that the web applications put into their error bodies.
pub fn instance_uuid(seed: u64, number: u64) -> String {
    let high = draw(seed, "instance-high", number);
    let low = draw(seed, "instance-low", number);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}
