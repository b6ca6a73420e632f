//! Identity of an endpoint's objects on a member: `status.externalID` in this driver's terms.

use kube::ResourceExt;
use roadstead_api::v1alpha1::ExternalId;

use crate::member::Member;

const NAMESPACE: &str = "namespace";
const DEPLOYMENT: &str = "uid";
const KEY: &str = "ownerUID";

/// The UIDs of what was made for an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// UID of its Deployment.
    pub deployment: Option<String>,
    /// UID of the Secret of its API key, which owns the rest. Records of former releases lack it.
    pub key: Option<String>,
}

impl Made {
    /// The UIDs in a record.
    #[must_use]
    pub fn recorded(id: Option<&ExternalId>) -> Self {
        let entry = |key: &str| id.and_then(|id| id.get(key)).map(ToOwned::to_owned);
        Self { deployment: entry(DEPLOYMENT), key: entry(KEY) }
    }

    /// The UIDs of these objects, which a member may not choose freely.
    #[must_use]
    pub fn of(deployment: &impl ResourceExt, key: Option<&impl ResourceExt>) -> Self {
        Self { deployment: uid_of(deployment), key: key.and_then(uid_of) }
    }

    /// As it goes on record for `member`.
    #[must_use]
    pub fn into_id(self, member: &Member<'_>) -> ExternalId {
        let deployment = self.deployment.unwrap_or_default();
        let known = [(NAMESPACE, member.namespace), (DEPLOYMENT, deployment.as_str())];
        let key = self.key.as_deref().map(|key| (KEY, key));
        ExternalId::new(member.identity, known.into_iter().chain(key))
    }
}

/// The UID of an object, if it is one.
#[must_use]
pub fn uid_of(object: &impl ResourceExt) -> Option<String> {
    object.uid().filter(|uid| roadstead_api::v1alpha1::names::is_uid(uid))
}
