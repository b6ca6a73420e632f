//! The part of a member that endpoints are in.

use k8s_openapi::NamespaceResourceScope;
use kube::api::Api;
use kube::{Client, Resource};

use super::admission::Admissions;
use super::mark::Mark;

/// The part of a member that endpoints are in.
pub struct Member<'a> {
    /// The member.
    pub client: &'a Client,
    /// The namespace there.
    pub namespace: &'a str,
    /// Under which id.
    pub install_id: &'a str,
    /// Changes by the member's admission to our writes.
    pub admissions: &'a Admissions,
    /// The identity of the cluster, as it was first met.
    pub identity: &'a str,
}

impl<'a> Member<'a> {
    /// The API of a kind there.
    pub fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    /// Mark of an endpoint's objects there.
    pub fn mark<'b>(&self, endpoint: &'b str) -> Mark<'b>
    where
        'a: 'b,
    {
        Mark { install_id: self.install_id, endpoint }
    }
}
