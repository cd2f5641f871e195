//! How values are kept, by the settings.
//!
//! Owns: which parameters make which limits of a type. Refuses to know: what the types do with them.

use super::Config;
use crate::types::{ListLimits, PackedLimits, SetLimits, StreamLimits};

impl Config {
    /// Up to where hashes stay packed.
    #[inline]
    pub fn hash_limits(&self) -> PackedLimits {
        PackedLimits { entries: self.hash_max_listpack_entries, value_bytes: self.hash_max_listpack_value }
    }

    /// Up to where sets stay compact.
    #[inline]
    pub fn set_limits(&self) -> SetLimits {
        let packed = PackedLimits { entries: self.set_max_listpack_entries, value_bytes: self.set_max_listpack_value };
        SetLimits { ints: self.set_max_intset_entries, packed }
    }

    /// Up to where sorted sets stay packed.
    #[inline]
    pub fn zset_limits(&self) -> PackedLimits {
        PackedLimits { entries: self.zset_max_listpack_entries, value_bytes: self.zset_max_listpack_value }
    }

    /// How lists are kept.
    #[inline]
    pub fn list_limits(&self) -> ListLimits {
        ListLimits { compress_depth: self.list_compress_depth as usize, ..ListLimits::default() }
            .with_listpack_size(i64::from(self.list_max_listpack_size))
    }

    /// When blocks of streams are full.
    #[inline]
    pub fn stream_limits(&self) -> StreamLimits {
        StreamLimits::new(self.stream_node_max_bytes, self.stream_node_max_entries)
    }
}
