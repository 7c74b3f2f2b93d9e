//! The authority of a request: `uri-host [ ":" port ]` (9110 section 7.2, 3986 section 3.2).

use std::net::Ipv6Addr;

/// Whether `value` is a host, with or without a port. An empty one is none: no request for a file
/// over the network has a reason to leave it empty.
pub(crate) fn is_valid(value: &[u8]) -> bool {
    let Some((host, port)) = split(value) else {
        return false;
    };
    let is_host = match host.strip_prefix(b"[") {
        Some(literal) => literal.strip_suffix(b"]").is_some_and(is_ip_literal),
        None => is_name(host),
    };
    is_host && port.is_none_or(is_port)
}

/// Host, and what follows the colon behind it.
fn split(value: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let end = if value.starts_with(b"[") {
        value.iter().position(|&byte| byte == b']')? + 1
    } else {
        value.iter().position(|&byte| byte == b':').unwrap_or(value.len())
    };
    match value[end..].split_first() {
        None => Some((value, None)),
        Some((b':', port)) => Some((&value[..end], Some(port))),
        Some(_) => None,
    }
}

/// > port = *DIGIT (3986 section 3.2.3)
///
/// An empty one is the scheme's own; the others are those that TCP has.
fn is_port(port: &[u8]) -> bool {
    if port.is_empty() {
        return true;
    }
    let number = port.iter().try_fold(0u32, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number.saturating_mul(10).saturating_add(u32::from(byte - b'0')))
    });
    number.is_some_and(|number| (1..=65_535).contains(&number))
}

fn is_ip_literal(literal: &[u8]) -> bool {
    str::from_utf8(literal).is_ok_and(|literal| literal.parse::<Ipv6Addr>().is_ok())
}

/// > reg-name = *( unreserved / pct-encoded / sub-delims ) (3986 section 3.2.2)
///
/// with no empty label but a last one, since it is to be a name of the DNS.
fn is_name(name: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(byte);
    let labels = name.strip_suffix(b".").unwrap_or(name);
    name.iter().all(is_allowed) && !labels.split(|&byte| byte == b'.').any(<[u8]>::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_a_port_are_valid() {
        for good in [
            "a",
            "a.b",
            "a.b.",
            "a_b",
            "a-b:80",
            "a:",
            "a:65535",
            "127.0.0.1",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:8080",
            "[2001:db8::1]",
        ] {
            assert!(is_valid(good.as_bytes()), "{good}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            ":80",
            "a:0",
            "a:65536",
            "a:99999999999",
            "a:asd",
            "a:-1",
            "a:80:80",
            "a, b",
            "a,b",
            "a b",
            "a/b",
            "../x",
            "u@a",
            "[::1",
            "[::1].",
            "x[::1]",
            "[::1]x",
            "[]",
            "[1]",
            "[::1]/../..",
            "a\tb",
            "a?b",
            "a#b",
            "a\\b",
            "\u{e4}",
        ] {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
    }
}
