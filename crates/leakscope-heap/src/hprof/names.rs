//! Names of classes: as people write them, and as they are the same in every process.

use std::borrow::Cow;

use crate::hprof::records::Type;

/// The name of a class as its source has it: `java.util.HashMap$Node`, `byte[]`, `java.lang.Object[][]`.
///
/// `raw`: as the VM has it, with `/` or `.` between packages. What follows the `/` or `+` of a hidden class stays.
pub(crate) fn readable(raw: &str) -> String {
    let element = raw.trim_start_matches('[');
    let dimensions = raw.len() - element.len();
    let mut name = match (dimensions, element.as_bytes()) {
        (0, _) => dotted(element),
        (_, [code]) => primitive(*code).map_or_else(|| element.to_owned(), |of| of.name().to_owned()),
        _ => dotted(element.strip_prefix('L').map_or(element, |class| class.strip_suffix(';').unwrap_or(class))),
    };
    name.extend(std::iter::repeat_n("[]", dimensions));
    name
}

fn primitive(code: u8) -> Option<Type> {
    let at = b"ZCFDBSIJ".iter().position(|&known| known == code)?;
    Some(Type::PRIMITIVES[at])
}

fn dotted(name: &str) -> String {
    match name.split_once("/0x") {
        Some((class, address)) => format!("{}/0x{address}", class.replace('/', ".")),
        None => name.replace('/', "."),
    }
}

/// Endings after which a generator of classes puts what differs from process to process. What follows is cut.
const CUT_AFTER: [&str; 9] = [
    "$$Lambda",
    "$$EnhancerBySpringCGLIB$$",
    "$$FastClassBySpringCGLIB$$",
    "$$SpringCGLIB$$",
    "$$EnhancerByCGLIB$$",
    "$$FastClassByCGLIB$$",
    "$HibernateProxy$",
    "$ByteBuddy$",
    "_$$_jvst",
];

/// Names that are counted up. The digits that end them are cut.
const NUMBERED: [&str; 5] = [
    "$Proxy",
    "GeneratedMethodAccessor",
    "GeneratedConstructorAccessor",
    "GeneratedSerializationConstructorAccessor",
    "$HibernateInstantiator",
];

/// The name of a class without what differs from process to process: numbers of lambdas, proxies and accessors, addresses of hidden
/// classes, hashes of generated subclasses.
pub(crate) fn normalised(name: &str) -> Cow<'_, str> {
    let class = name.trim_end_matches("[]");
    let cut = [class.find("+0x"), class.find("/0x")].into_iter().flatten().min();
    let generated =
        CUT_AFTER.iter().filter_map(|mark| class.find(mark).map(|at| at + mark.trim_end_matches('$').len())).min();
    let mut end = [cut, generated].into_iter().flatten().min().unwrap_or(class.len());
    let numbered = class[..end].trim_end_matches(|digit: char| digit.is_ascii_digit());
    if numbered.len() < end && NUMBERED.iter().any(|mark| numbered.ends_with(mark)) {
        end = numbered.len();
    }
    let kept = without_proxy_module(&class[..end]);
    if kept.len() == class.len() {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("{kept}{}", &name[class.len()..]))
}

/// `jdk.proxy2.$Proxy` is in the second of modules that are made at run time.
fn without_proxy_module(name: &str) -> Cow<'_, str> {
    let Some(rest) = name.strip_prefix("jdk.proxy") else { return Cow::Borrowed(name) };
    let class = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
    if class.len() < rest.len() && class.starts_with('.') {
        Cow::Owned(format!("jdk.proxy{class}"))
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mirror_class_are_those_of_their_source() {
        let cases = [
            ("java/util/HashMap$Node", "java.util.HashMap$Node"),
            ("java.util.ArrayList", "java.util.ArrayList"),
            ("[B", "byte[]"),
            ("[[J", "long[][]"),
            ("[Ljava/lang/Object;", "java.lang.Object[]"),
            ("[[Lcom.acme.Row;", "com.acme.Row[][]"),
            ("byte[]", "byte[]"),
            ("com/acme/App$$Lambda$14+0x0000000800c03000", "com.acme.App$$Lambda$14+0x0000000800c03000"),
            ("com/acme/App$$Lambda$14/0x0000000800c03000", "com.acme.App$$Lambda$14/0x0000000800c03000"),
            ("", ""),
            ("[", "[]"),
            ("[L;", "[]"),
            ("[Q", "Q[]"),
        ];
        for (raw, name) in cases {
            assert_eq!(readable(raw), name, "{raw}");
        }
    }

    #[test]
    fn what_differs_from_process_to_process_is_cut_from_names() {
        let cases = [
            ("java.util.HashMap$Node", "java.util.HashMap$Node"),
            ("com.acme.App$$Lambda$14+0x0000000800c03000", "com.acme.App$$Lambda"),
            ("com.acme.App$$Lambda/0x0000000800c03000[]", "com.acme.App$$Lambda[]"),
            ("com.sun.proxy.$Proxy7", "com.sun.proxy.$Proxy"),
            ("jdk.proxy2.$Proxy12", "jdk.proxy.$Proxy"),
            ("jdk.proxying.Log4", "jdk.proxying.Log4"),
            ("jdk.internal.reflect.GeneratedMethodAccessor12", "jdk.internal.reflect.GeneratedMethodAccessor"),
            ("com.acme.Cart$$EnhancerBySpringCGLIB$$ab12", "com.acme.Cart$$EnhancerBySpringCGLIB"),
            ("com.acme.Cart$$SpringCGLIB$$0", "com.acme.Cart$$SpringCGLIB"),
            ("com.acme.User$HibernateProxy$x8sKq1", "com.acme.User$HibernateProxy"),
            ("com.acme.User_$$_jvst5a1_0", "com.acme.User_$$_jvst"),
            ("java.lang.invoke.LambdaForm$MH+0x0000000800c01000", "java.lang.invoke.LambdaForm$MH"),
            ("com.acme.Base64", "com.acme.Base64"),
            ("com.acme.App$1", "com.acme.App$1"),
        ];
        for (name, expected) in cases {
            assert_eq!(normalised(name), expected, "{name}");
        }
    }
}
