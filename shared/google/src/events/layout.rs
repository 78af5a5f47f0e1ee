//! Topics and subscriptions on an emulator, as Terraform lays them out on
//! Google Cloud.

use runtime::{Domain, Trigger};
use serde_json::{Value, json};

use super::{message::Names, rest::Rest};

/// After so many failures a message is a dead letter: the fewest that Pub/Sub
/// takes, since an emulator's messages are tried each second.
const ATTEMPTS: u32 = 5;

/// Lays out an emulator for some domains: a topic for each event, and for each
/// subscriber a subscription that pushes to its function's address. What is
/// there already stays.
///
/// No subscription has a retry policy: with one the emulator loses messages.
pub async fn lay_out(
    emulator: &str,
    names: &Names,
    domains: &[Domain],
    address: impl Fn(&str) -> String,
) -> anyhow::Result<()> {
    let rest = Rest::on_emulator(emulator);
    let nothing = json!({});
    let letters = names.dead_letters_topic();
    rest.put(&letters, &nothing).await?;
    rest.put(&names.dead_letters(), &json!({ "topic": letters })).await?;
    for event in domains.iter().flat_map(|it| &it.events) {
        rest.put(&names.topic(event.kind), &nothing).await?;
    }
    for function in domains.iter().flat_map(|it| &it.functions) {
        let Trigger::Event(subscription) = &function.trigger else { continue };
        let topic = names.topic(subscription.kind);
        // Its own domain may not be here.
        rest.put(&topic, &nothing).await?;
        let endpoint = format!("{}/events/{}", address(&function.id), function.id);
        let subscription: Value = json!({
            "topic": topic,
            "pushConfig": { "pushEndpoint": endpoint },
            "ackDeadlineSeconds": 60,
            "deadLetterPolicy": { "deadLetterTopic": letters, "maxDeliveryAttempts": ATTEMPTS },
        });
        rest.put(&names.subscription(&function.id), &subscription).await?;
    }
    Ok(())
}
