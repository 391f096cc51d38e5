//! The least that any reader of such a file does: looks at each byte once and adds up the numbers between other bytes, on one
//! thread. Part of the package that `cargo xtask bench heap` builds.

use std::io::Read;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("expected a file")?;
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0_u8; 1 << 20];
    let (mut n_numbers, mut sum, mut number, mut inside) = (0_u64, 0_u64, 0_u64, false);
    loop {
        let n_bytes = file.read(&mut buffer)?;
        if n_bytes == 0 {
            break;
        }
        for byte in &buffer[..n_bytes] {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
                inside = true;
            } else if inside {
                sum = sum.wrapping_add(number);
                n_numbers += 1;
                (number, inside) = (0, false);
            }
        }
    }
    println!("{{\"numbers\":{n_numbers},\"sum\":{sum}}}");
    Ok(())
}
