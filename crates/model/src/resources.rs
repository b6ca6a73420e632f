//! The requests of a replica beside accelerators, and its size.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Resources of one replica, or free on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Resources {
    /// CPU in thousandths of a core.
    pub cpu_millis: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Ephemeral storage in bytes.
    pub ephemeral_storage_bytes: u64,
}

impl Resources {
    /// True if every amount is at most that of `other`.
    #[must_use]
    pub const fn within(&self, other: &Self) -> bool {
        self.cpu_millis <= other.cpu_millis
            && self.memory_bytes <= other.memory_bytes
            && self.ephemeral_storage_bytes <= other.ephemeral_storage_bytes
    }

    /// These amounts `count` times.
    #[must_use]
    pub const fn times(&self, count: u32) -> Self {
        let count = count as u64;
        Self {
            cpu_millis: self.cpu_millis.saturating_mul(count),
            memory_bytes: self.memory_bytes.saturating_mul(count),
            ephemeral_storage_bytes: self.ephemeral_storage_bytes.saturating_mul(count),
        }
    }

    /// The sum of both.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
            ephemeral_storage_bytes: self.ephemeral_storage_bytes.saturating_add(other.ephemeral_storage_bytes),
        }
    }

    /// The rest after subtracting `other`, never below zero.
    #[must_use]
    pub const fn minus(&self, other: &Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_sub(other.cpu_millis),
            memory_bytes: self.memory_bytes.saturating_sub(other.memory_bytes),
            ephemeral_storage_bytes: self.ephemeral_storage_bytes.saturating_sub(other.ephemeral_storage_bytes),
        }
    }
}

/// A number and type of accelerators on one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Accelerator {
    /// Catalogue name, like `H100`; matched by equality.
    #[serde(rename = "type")]
    pub kind: String,
    /// Number of accelerators, at least 1.
    pub count: u32,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.count, self.kind)
    }
}

/// The size of one replica, as capacity knows it: what one pod asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Size {
    /// Accelerators of one replica.
    pub accelerators: u32,
    /// Its other resources.
    pub resources: Resources,
}

impl Size {
    /// True if this is at most as large as `other` in every respect.
    #[must_use]
    pub const fn within(&self, other: &Self) -> bool {
        self.accelerators <= other.accelerators && self.resources.within(&other.resources)
    }
}
