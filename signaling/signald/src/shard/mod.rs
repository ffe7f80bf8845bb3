//! A shard on its thread: the inbox where other threads leave what is for it, and the loop around it.

pub(crate) mod doubtful_icmp;
pub(crate) mod ending;
pub(crate) mod idle_work;
pub(crate) mod inbox;
pub(crate) mod media_plane;
pub(crate) mod sharding;
pub(crate) mod thread;
pub(crate) mod turn_rate;
