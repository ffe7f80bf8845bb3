//! Shards in virtual time: datagrams in, datagrams out, no socket.

mod calls;
mod crossing;
mod descriptions;
mod shard;
