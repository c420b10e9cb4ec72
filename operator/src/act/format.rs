//! The operator's word that a node may format its disks.

use ottla_plan::action::Format;

use super::ActError;
use crate::reach::{AgentAddress, Credentials, Reach};

pub(super) async fn permit(
    reach: &dyn Reach,
    credentials: &Credentials,
    format: &Format,
) -> Result<(), ActError> {
    let agent = AgentAddress { ip: format.address.clone(), host: format.host.clone() };
    reach.format(credentials, &agent, &format.request).await.map_err(ActError::Agent)
}
