//! MD5, for `hashmod` only: relabelling must send a target to the same shard as Prometheus does. Not for security.
//!
//! Source: RFC 1321.

/// Rotations of the four rounds.
const ROTATE: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// The digest of `message`.
pub(crate) fn digest(message: &[u8]) -> [u8; 16] {
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut tail = message.to_vec();
    tail.push(0x80);
    tail.resize(tail.len().next_multiple_of(64), 0);
    if tail.len() - message.len() < 9 {
        tail.resize(tail.len() + 64, 0);
    }
    let length_at = tail.len() - 8;
    tail.truncate(length_at);
    tail.extend((message.len() as u64).wrapping_mul(8).to_le_bytes());
    for block in tail.as_chunks::<64>().0 {
        mix(&mut state, block);
    }
    let mut out = [0; 16];
    for (bytes, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_le_bytes();
    }
    out
}

fn mix(state: &mut [u32; 4], block: &[u8; 64]) {
    let mut words = [0_u32; 16];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let [mut a, mut b, mut c, mut d] = *state;
    for step in 0..64 {
        let (mixed, word) = match step / 16 {
            0 => ((b & c) | (!b & d), step),
            1 => ((d & b) | (!d & c), 5 * step + 1),
            2 => (b ^ c ^ d, 3 * step + 5),
            _ => (c ^ (b | !d), 7 * step),
        };
        // RFC 1321 defines its constants so: the integer part of 2³² × |sin(step + 1)|.
        let constant = (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
        let sum = a.wrapping_add(mixed).wrapping_add(constant).wrapping_add(words[word % 16]);
        (a, d, c) = (d, c, b);
        b = b.wrapping_add(sum.rotate_left(ROTATE[step / 16][step % 4]));
    }
    for (word, mixed) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(mixed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_rfc_1321_and_of_lengths_around_a_block() {
        for (message, want) in [
            (String::new(), 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e_u128),
            ("a".into(), 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661),
            ("message digest".into(), 0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0),
            ("1234567890".repeat(8), 0x57ed_f4a2_2be3_c955_ac49_da2e_2107_b67a),
            ("x".repeat(55), 0x0436_4420_e25c_512f_d958_a707_38aa_8f72),
            ("x".repeat(56), 0x668a_72d5_ba17_f08e_62da_bcaf_ad6d_b14b),
            ("x".repeat(64), 0xc1bb_4f81_d892_b2d5_7947_682a_eb25_2456),
        ] {
            assert_eq!(u128::from_be_bytes(digest(message.as_bytes())), want, "{} bytes", message.len());
        }
    }
}
