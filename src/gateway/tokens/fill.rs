//! Routes with their tokens. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roadstead_gateway::{Credential, Endpoint, Key, Route, TokenSource};

use crate::gateway::Routes;

/// Names of a deployment's cluster and of one of its endpoints.
pub type EndpointName = (String, String);

/// The sources that the endpoints of routes name.
#[must_use]
pub fn sources(routes: &BTreeMap<String, Route>) -> BTreeSet<TokenSource> {
    endpoints(routes).filter_map(|(_, endpoint)| endpoint.token.clone()).collect()
}

/// The source of an endpoint's token.
#[must_use]
pub fn source_of<'a>(routes: &'a BTreeMap<String, Route>, name: &EndpointName) -> Option<&'a TokenSource> {
    let (cluster, endpoint) = name;
    routes.values().find(|route| route.cluster() == *cluster)?.endpoint(endpoint)?.token.as_ref()
}

/// The endpoints that lack their token, with its source.
#[must_use]
pub fn lacking(routes: &BTreeMap<String, Route>) -> BTreeMap<EndpointName, TokenSource> {
    let lacking = endpoints(routes).filter(|(_, endpoint)| endpoint.lacks_token());
    lacking
        .filter_map(|(route, endpoint)| Some(((route.cluster(), endpoint.name.clone()), endpoint.token.clone()?)))
        .collect()
}

/// The routes with the tokens that there are. Routes without sources are passed on as they are.
#[must_use]
pub fn filled<'a>(routes: &Routes, token: impl Fn(&TokenSource) -> Option<&'a Key>) -> Routes {
    if endpoints(routes).all(|(_, endpoint)| endpoint.token.is_none()) {
        return Arc::clone(routes);
    }
    let mut filled = routes.as_ref().clone();
    for endpoint in filled.values_mut().flat_map(|route| &mut route.endpoints) {
        if let Some(source) = &endpoint.token {
            let (header, word) = source.header();
            endpoint.credential = token(source).map(|key| Credential {
                header: header.to_owned(),
                word: word.to_owned(),
                key: key.clone(),
            });
        }
    }
    Arc::new(filled)
}

fn endpoints(routes: &BTreeMap<String, Route>) -> impl Iterator<Item = (&Route, &Endpoint)> {
    routes.values().flat_map(|route| route.endpoints.iter().map(move |endpoint| (route, endpoint)))
}
