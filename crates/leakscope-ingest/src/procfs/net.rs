//! Listening sockets of `/proc/net/tcp` and `/proc/net/tcp6`: who can be asked for metrics.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A listening TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// Its inode, as in the links of `/proc/PID/fd`: `socket:[inode]`.
    pub inode: u64,
    /// Its port.
    pub port: u16,
    /// From where it can be reached.
    pub reach: Reach,
}

/// From where a socket can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// From this host.
    Loopback(IpAddr),
    /// On every address of this host, loopback included.
    Any,
    /// On this address.
    Address(IpAddr),
}

/// State `TCP_LISTEN` in the kernel's numbers.
const LISTEN: &[u8] = b"0A";

/// The listening sockets of a file; lines that are not understood are left out.
pub fn listeners(bytes: &[u8]) -> impl Iterator<Item = Listener> + '_ {
    bytes.split(|&byte| byte == b'\n').filter_map(listener)
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ...`
fn listener(line: &[u8]) -> Option<Listener> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let local = words.nth(1)?;
    if words.nth(1)? != LISTEN {
        return None;
    }
    let inode = super::number(words.nth(5)?)?;
    let colon = memchr::memchr(b':', local)?;
    let port = u16::from_str_radix(std::str::from_utf8(local.get(colon + 1..)?).ok()?, 16).ok()?;
    let address = address(std::str::from_utf8(local.get(..colon)?).ok()?)?;
    let reach = match address {
        any if any.is_unspecified() => Reach::Any,
        loopback if loopback.is_loopback() => Reach::Loopback(loopback),
        other => Reach::Address(other),
    };
    Some(Listener { inode, port, reach })
}

/// Addresses stand as 32-bit words in the byte order of the host; leakscope reads them as a little-endian host writes them.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_le_bytes);
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut octets = [0; 16];
            for (index, chunk) in octets.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *chunk = word(index * 8)?;
            }
            Some(Ipv6Addr::from(octets).to_canonical())
        }
        _ => None,
    }
}
