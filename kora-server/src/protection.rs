//! Protected mode: whom a server without a password serves.
//!
//! Owns: the decision and its error text. Refuses to know: sockets; it is asked about addresses. Start at [`denial`].

use std::net::IpAddr;

use kora_runtime::config::Config;

/// What a connection that is not served reads before it is closed; a whole reply. The code word is the one that
/// clients of Redis know.
pub const DENIED: &[u8] =
    b"-DENIED Kora runs in protected mode: it has no password, so it serves connections from its own machine only. \
    Connect through the loopback interface or the Unix socket, or set a password (requirepass), \
    or turn protected-mode off.\r\n";

/// The error for a new connection that must not be served, under the configuration at that moment. `peer` is the other
/// end of a TCP connection; a Unix socket, whose permissions decide who connects, has none.
pub fn denial(config: &Config, peer: Option<IpAddr>) -> Option<&'static [u8]> {
    let is_local = peer.is_none_or(|peer| peer.to_canonical().is_loopback());
    (config.protected_mode && config.requirepass.is_empty() && !is_local).then_some(DENIED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stranger_to_a_server_without_password_is_denied() {
        let open = Config::default();
        let with_password = Config { requirepass: b"secret".to_vec(), ..open.clone() };
        let unprotected = Config { protected_mode: false, ..open.clone() };
        for (peer, denied) in [
            (Some("127.0.0.1"), false),
            (Some("127.8.9.10"), false),
            (Some("::1"), false),
            (Some("::ffff:127.0.0.1"), false),
            (None, false),
            (Some("10.0.0.1"), true),
            (Some("2001:db8::1"), true),
            (Some("::ffff:10.0.0.1"), true),
        ] {
            let peer = peer.map(|peer| peer.parse().expect("an address"));
            assert_eq!(denial(&open, peer).is_some(), denied, "{peer:?}");
            assert_eq!(denial(&with_password, peer), None, "{peer:?}");
            assert_eq!(denial(&unprotected, peer), None, "{peer:?}");
        }
    }

    #[test]
    fn the_denial_is_one_whole_reply() {
        assert!(DENIED.starts_with(b"-DENIED ") && DENIED.ends_with(b"\r\n"));
        assert!(!DENIED[..DENIED.len() - 2].iter().any(|byte| matches!(byte, b'\r' | b'\n')));
        assert!(!DENIED.windows(2).any(|pair| pair == b"  "));
    }
}
