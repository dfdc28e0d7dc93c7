//! The expressions of a compiled policy.

use crate::{
    compile::cel::{list, literal},
    policy::{Exemption, Glob, Match, Operator, Profile, Requirement, Selector},
};

/// What a compiled policy does to a pod, the same for every policy: it sets `variables.profile`
/// where the pod has no profile, or nothing.
pub const MUTATION: &str = "size(variables.profile) == 0 ? [] : \
    has(object.spec.securityContext) ? \
    [JSONPatch{op: 'add', path: '/spec/securityContext/seccompProfile', value: variables.profile}] : \
    [JSONPatch{op: 'add', path: '/spec/securityContext', value: {'seccompProfile': variables.profile}}]";

/// The pods that a compiled policy changes: those that `/mutate` gives one profile and nothing else.
/// Windows pods (S13) and mirror pods (S22) get none, and what the legacy annotations of a pod lead to
/// (S15) is left to `/mutate`.
///
/// It is one condition, since the API server evaluates all of them, also behind one that is false, and
/// for each changed pod once more. It ends soonest for pods that have a profile.
pub(super) const CONDITION: (&str, &str) = (
    "mutate-would-set-one-profile-and-nothing-else",
    "(!has(object.spec.securityContext) || !has(object.spec.securityContext.seccompProfile)) && \
     (!has(object.spec.os) || object.spec.os.name != 'windows') && \
     (!has(object.metadata.annotations) || !object.metadata.annotations.exists(key, \
     key == 'kubernetes.io/config.mirror' || \
     key.contains('seccomp.security.alpha.kubernetes.io/'))) && \
     (object.spec.containers.exists(it, \
     !has(it.securityContext) || !has(it.securityContext.seccompProfile)) || \
     (has(object.spec.initContainers) && object.spec.initContainers.exists(it, \
     !has(it.securityContext) || !has(it.securityContext.seccompProfile))))",
);

/// Under placement Pin, `/mutate` pins a pod for the profiles of its containers.
pub(super) const NO_PIN: (&str, &str) = (
    "no-container-has-a-localhost-profile",
    "!(object.spec.containers + object.spec.?initContainers.orValue([])).exists(it, \
     it.?securityContext.?seccompProfile.?type.orValue('') == 'Localhost')",
);

/// A profile for the pods that no earlier choice selects.
pub(super) struct Choice<'a> {
    /// None: for all of them.
    pub(super) selector: Option<&'a Selector>,
    /// None: they are left to `/mutate`.
    pub(super) profile: Option<&'a Profile>,
    /// Where the policy has it.
    pub(super) field: String,
}

/// An expression that the API server may not take.
pub(super) struct TooLong {
    pub(super) what: String,
    pub(super) length: usize,
    pub(super) limit: usize,
}

/// The length of an expression: CEL's parser takes 100,000 characters.
const LONGEST: usize = 50_000;

/// How deep conditions stand in each other: CEL's parser takes 250.
const DEEPEST: usize = 100;

/// The variables of a compiled policy, in the order in which they use each other; the last one,
/// `profile`, is a map that is empty if the pod is left as it is.
pub(super) fn variables(
    choices: &[Choice<'_>],
    exemptions: &[&Exemption],
) -> Result<Vec<(String, String)>, TooLong> {
    let mut variables = Vec::new();
    let uses_labels =
        choices.iter().filter_map(|it| it.selector).any(|it| *it != Selector::default());
    if uses_labels {
        variables.push(("labels".to_owned(), "object.metadata.?labels.orValue({})".to_owned()));
    }
    if exemptions.iter().any(|it| is_about_containers(it.scope())) {
        let unset = "(object.spec.containers + object.spec.?initContainers.orValue([])).filter(it, \
                     !has(it.securityContext) || !has(it.securityContext.seccompProfile))";
        variables.push(("unset".to_owned(), unset.to_owned()));
    }
    let mut exempt = Vec::new();
    for (at, it) in exemptions.iter().enumerate() {
        let name = format!("exemption{at}");
        let what = || format!("exemption {:?}", it.name.as_str());
        variables.push((name.clone(), within(exemption(it.scope()), what)?));
        exempt.push(format!("variables.{name}"));
    }
    // Written from the last choice to the first, since each is the alternative of the one before.
    let mut rest = "{}".to_owned();
    let mut depth = 0;
    for (at, it) in choices.iter().enumerate().rev() {
        let value = it.profile.map_or_else(|| "{}".to_owned(), profile);
        let Some(condition) = it.selector.and_then(selector) else {
            (rest, depth) = (value, 0);
            continue;
        };
        let own = within(format!("{condition} ? {value} : "), || it.field.clone())?;
        if depth == DEEPEST || own.chars().count() + rest.chars().count() > LONGEST {
            let name = format!("after{at}");
            variables.push((name.clone(), rest));
            (rest, depth) = (format!("variables.{name}"), 0);
        }
        rest = own + &rest;
        depth += 1;
    }
    if !exempt.is_empty() {
        let exempt = within(exempt.join(" || "), || "the list of exemptions".to_owned())?;
        variables.push(("exempt".to_owned(), exempt));
        rest = format!("variables.exempt ? {{}} : {rest}");
    }
    variables.push(("profile".to_owned(), rest));
    Ok(variables)
}

fn within(expression: String, what: impl Fn() -> String) -> Result<String, TooLong> {
    let length = expression.chars().count();
    if length > LONGEST {
        return Err(TooLong { what: what(), length, limit: LONGEST });
    }
    Ok(expression)
}

fn profile(profile: &Profile) -> String {
    match profile {
        Profile::RuntimeDefault => "{'type': 'RuntimeDefault'}".to_owned(),
        Profile::Localhost(path) => {
            format!("{{'type': 'Localhost', 'localhostProfile': {}}}", literal(path.as_str()))
        }
    }
}

/// None: it selects every pod.
fn selector(Selector { match_labels, match_expressions }: &Selector) -> Option<String> {
    let equal = |(key, value): (&String, &String)| {
        format!("variables.labels[?{}] == optional.of({})", literal(key), literal(value))
    };
    let labels = match_labels.iter().map(equal);
    let all: Vec<_> = labels.chain(match_expressions.iter().map(requirement)).collect();
    (!all.is_empty()).then(|| all.join(" && "))
}

fn requirement(Requirement { key, operator }: &Requirement) -> String {
    let key = literal(key);
    let exists = format!("{key} in variables.labels");
    let among = |values| format!("({exists} && variables.labels[{key}] in {})", list(values));
    match operator {
        Operator::In(values) => among(values),
        Operator::NotIn(values) => format!("!{}", among(values)),
        Operator::Exists => exists,
        Operator::DoesNotExist => format!("!({exists})"),
    }
}

/// Whether an exemption may apply to a container without a profile.
fn exemption(scope: &Match) -> String {
    let Match { namespaces, service_accounts, containers, images } = scope;
    let mut all = Vec::new();
    all.extend(namespaces.as_ref().map(|it| format!("request.namespace in {}", list(it))));
    all.extend(
        service_accounts.as_ref().map(|it| {
            format!("object.spec.?serviceAccountName.orValue('default') in {}", list(it))
        }),
    );
    let names = containers.as_ref().map(|it| format!("it.name in {}", list(it)));
    let images = images.as_ref().map(|it| {
        let any: Vec<_> = it.iter().map(image).collect();
        format!("({})", any.join(" || "))
    });
    let of_container: Vec<_> = names.into_iter().chain(images).collect();
    if !of_container.is_empty() {
        all.push(format!("variables.unset.exists(it, {})", of_container.join(" && ")));
    }
    all.join(" && ")
}

fn is_about_containers(scope: &Match) -> bool {
    scope.containers.is_some() || scope.images.is_some()
}

/// Holds for every image that the pattern matches, and for few others: the pieces may overlap.
fn image(pattern: &Glob) -> String {
    let image = "it.?image.orValue('')";
    let pieces = pattern.pieces();
    let [first, middle @ .., last] = &pieces[..] else {
        let all = pieces.first().copied().unwrap_or_default();
        return format!("{image} == {}", literal(all));
    };
    let call = |name: &str, piece: &str| {
        (!piece.is_empty()).then(|| format!("{image}.{name}({})", literal(piece)))
    };
    let middle = middle.iter().filter_map(|it| call("contains", it));
    let all: Vec<_> =
        call("startsWith", first).into_iter().chain(middle).chain(call("endsWith", last)).collect();
    if all.is_empty() { "true".to_owned() } else { format!("({})", all.join(" && ")) }
}
