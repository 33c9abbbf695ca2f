//! From names to addresses.

use std::{
    collections::HashMap,
    future,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    vec,
};

use futures::future::Either;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower::{Service, ServiceExt, service_fn, util::BoxCloneSyncService};

use crate::BoxError;

/// A service from a name to addresses, whose port is 0: that means the URL's.
pub(super) type Resolver = BoxCloneSyncService<Name, vec::IntoIter<SocketAddr>, BoxError>;

/// The system's `getaddrinfo`.
pub(super) fn system() -> Resolver {
    boxed(GaiResolver::new())
}

pub(super) fn boxed<R>(resolver: R) -> Resolver
where
    R: Service<Name> + Clone + Send + Sync + 'static,
    R::Response: IntoIterator<Item = SocketAddr>,
    R::Error: Into<BoxError>,
    R::Future: Send + 'static,
{
    let without_ports = |addresses: R::Response| {
        let mut addresses: Vec<SocketAddr> = addresses.into_iter().collect();
        addresses.iter_mut().for_each(|address| address.set_port(0));
        addresses.into_iter()
    };
    BoxCloneSyncService::new(resolver.map_response(without_ports).map_err(Into::into))
}

/// Asks `others` only for names that have no addresses here.
pub(super) fn overriding(overrides: HashMap<String, Vec<IpAddr>>, others: Resolver) -> Resolver {
    let overrides = Arc::new(overrides);
    BoxCloneSyncService::new(service_fn(move |name: Name| match overrides.get(&name.as_str().to_ascii_lowercase()) {
        Some(addresses) => {
            let addresses: Vec<_> = addresses.iter().map(|&address| SocketAddr::new(address, 0)).collect();
            Either::Left(future::ready(Ok(addresses.into_iter())))
        }
        None => Either::Right(others.clone().oneshot(name)),
    }))
}
