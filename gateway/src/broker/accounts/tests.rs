//! What those may do whom no account stands for.

use super::*;
use crate::message::Topic;

fn certified(name: &str) -> Who {
    Who::Certified(Some(name.into()))
}

fn may(settings: &config::Broker, more: &MoreUsers, who: &Who, topic: &str) -> bool {
    Roster::new(settings, more).rights(who, Some("id")).may_publish(&Topic::new(topic).unwrap())
}

fn with_user() -> config::Broker {
    config::Broker { user: vec![User::plain("ops", "p")], ..Default::default() }
}

fn with_group(name: &str, mut settings: config::Broker) -> config::Broker {
    let publish = vec![TopicFilter::new("limited").unwrap()];
    settings.group.push(config::Group { name: name.into(), publish, subscribe: Vec::new() });
    settings
}

#[test]
fn a_certificate_whose_name_is_no_users_may_do_everything_only_as_long_as_there_are_no_users() {
    let (open, removed) = (config::Broker::default(), certified("removed"));
    assert!(may(&open, &MoreUsers::None, &removed, "a"));
    // The last user of the file was removed, or there are others.
    assert!(!may(&open, &MoreUsers::Good(Vec::new()), &removed, "a"));
    assert!(!may(&with_user(), &MoreUsers::None, &removed, "a"));
    assert!(may(&with_user(), &MoreUsers::None, &certified("ops"), "a"));
    let grouped = with_group(CERTIFIED, with_user());
    assert!(may(&grouped, &MoreUsers::None, &removed, "limited") && !may(&grouped, &MoreUsers::None, &removed, "a"));
}

#[test]
fn as_long_as_the_file_is_damaged_a_certificate_gives_the_rights_of_a_user_of_the_settings_or_none() {
    let grouped = with_group(CERTIFIED, with_user());
    for settings in [config::Broker::default(), grouped.clone()] {
        assert!(!may(&settings, &MoreUsers::Damaged, &certified("lost"), "limited"));
    }
    assert!(may(&grouped, &MoreUsers::Damaged, &certified("ops"), "a"));
}

#[test]
fn what_a_nameless_client_left_behind_may_do_nothing_once_a_name_is_needed() {
    for who in [Who::Anonymous, Who::Certified(None)] {
        assert!(may(&config::Broker::default(), &MoreUsers::None, &who, "a"));
        let open = config::Broker { allow_anonymous: true, ..with_user() };
        assert!(may(&open, &MoreUsers::None, &who, "a"));
        for settings in [with_user(), with_group(CERTIFIED, with_group(ANONYMOUS, with_user()))] {
            assert!(!may(&settings, &MoreUsers::None, &who, "limited"), "{who:?}");
        }
    }
}
