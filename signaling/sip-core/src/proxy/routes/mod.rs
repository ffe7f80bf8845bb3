//! Routes of a proxy: its signed Record-Route, and how it reads the Route of a request.

mod flow_token;
pub(crate) mod own_routes;
mod record_route;
pub(crate) mod signed_route;
