//! Users, groups and rights made up from a seed, and the topics and filters that are tried.

use stile_tests::Random;
use stile_tests::packet::{V5, V311};

/// A topic that everybody may subscribe to, deeper than all others.
pub(crate) const SENTINEL: &str = "s/e/n/t";

/// Names of levels: those of topics and filters, of users and of clients. One more stands for all others.
const NAMES: [&str; 5] = ["a", "b", "u1", "c1", "zz"];

/// A user with one client.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: &'static str,
    pub(crate) client: &'static str,
    pub(crate) version: u8,
    pub(crate) publish: Vec<String>,
    pub(crate) subscribe: Vec<String>,
    /// By their place in the world.
    pub(crate) groups: Vec<usize>,
}

/// What a group may do.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) publish: Vec<String>,
    pub(crate) subscribe: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) users: Vec<User>,
    pub(crate) groups: Vec<Group>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let groups = (0..3).map(|_| Group { publish: some(&mut random), subscribe: some(&mut random) }).collect();
        // Plain ones, ones that are names of topics, and ones that could widen a right.
        let who = [("u1", "c1"), ("u2", "a"), ("a", "c2"), ("+", "#"), ("b/a", "a/b"), ("u3", "+")];
        let users = who.into_iter().enumerate().map(|(number, (name, client))| User {
            name,
            client,
            version: if number % 2 == 0 { V5 } else { V311 },
            publish: some(&mut random),
            subscribe: [some(&mut random), vec![SENTINEL.to_owned()]].concat(),
            groups: (0..3).filter(|_| random.below(3) == 0).collect(),
        });
        Self { users: users.collect(), groups }
    }

    /// As `[[broker.user]]` and `[[broker.group]]`.
    pub(crate) fn settings(&self) -> String {
        let mut text = "[[broker.user]]\nname = \"ops\"\npassword = \"p\"\n".to_owned();
        for user in &self.users {
            let groups: Vec<_> = user.groups.iter().map(|group| format!("g{group}")).collect();
            text += &format!(
                "[[broker.user]]\nname = {:?}\npassword = \"p\"\npublish = {:?}\nsubscribe = {:?}\ngroups = {groups:?}\n",
                user.name, user.publish, user.subscribe
            );
        }
        for (number, group) in self.groups.iter().enumerate() {
            let (publish, subscribe) = (&group.publish, &group.subscribe);
            text +=
                &format!("[[broker.group]]\nname = \"g{number}\"\npublish = {publish:?}\nsubscribe = {subscribe:?}\n");
        }
        text
    }
}

/// Up to three filters of rights.
fn some(random: &mut Random) -> Vec<String> {
    (0..random.below(4)).map(|_| right(random)).collect()
}

fn right(random: &mut Random) -> String {
    const LEVELS: [&str; 7] = ["a", "b", "%u", "%c", "%u", "+", "+"];
    let mut levels: Vec<_> = (0..=random.below(2)).map(|_| LEVELS[random.below(7) as usize]).collect();
    if random.below(3) == 0 {
        levels.push("#");
    }
    levels.join("/")
}

/// All topics of one and two levels.
pub(crate) fn topics() -> Vec<String> {
    let pairs = NAMES.iter().flat_map(|one| NAMES.iter().map(move |two| format!("{one}/{two}")));
    NAMES.iter().map(|name| (*name).to_owned()).chain(pairs).collect()
}

/// All topics that can tell two filters of the table apart: one level more than any filter has names of.
pub(crate) fn universe(user: &User) -> Vec<String> {
    let mut names = NAMES.to_vec();
    names.extend([user.name, user.client].into_iter().filter(|name| !name.contains(['/', '+', '#'])));
    let mut all = vec![SENTINEL.to_owned()];
    let mut last: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    for _ in 0..3 {
        all.extend(last.clone());
        last = last.iter().flat_map(|topic| names.iter().map(move |name| format!("{topic}/{name}"))).collect();
    }
    all
}

/// Filters of one and two levels, with wildcards.
pub(crate) fn filters() -> Vec<String> {
    let levels = ["a", "b", "u1", "c1", "+"];
    let pairs = levels.iter().flat_map(|one| levels.iter().map(move |two| format!("{one}/{two}")));
    let exact: Vec<_> = levels.iter().map(|level| (*level).to_owned()).chain(pairs).collect();
    let open = exact.iter().map(|filter| format!("{filter}/#"));
    exact.iter().cloned().chain(open).chain(["#".to_owned()]).collect()
}
