//! Sol, the network a node joins when its home holds no `genesis.lf`.

use lf_proto::genesis::Genesis;

/// Sol's genesis.lf.
const SOL: &[u8] = include_bytes!("../genesis/sol.lf");

/// The built-in network.
///
/// # Panics
/// Never: a test reads the file that is built in.
#[must_use]
pub fn sol() -> Genesis {
    Genesis::parse(SOL).expect("the built-in genesis is valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sol_is_as_documented() {
        let genesis = sol();
        let p = genesis.parameters();
        assert_eq!((p.name.as_str(), p.record_min_links, p.record_max_value_size), ("Sol", 3, 1024));
        assert_eq!((p.record_max_time_drift, p.auth_required, p.strict_signatures), (60, false, true));
        assert!(p.amendable_fields.is_empty() && p.auth_certificates.is_empty());
        assert_ne!(p.id, [0; 32]);
        assert_eq!(p.work_factor(), 16);
    }
}
