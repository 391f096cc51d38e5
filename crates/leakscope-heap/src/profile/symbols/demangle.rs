//! Names as people write them, from those that linkers know.

use std::borrow::Cow;

use cpp_demangle::{DemangleOptions, Symbol};

/// The name without its mangling: of Rust without the hash, of C++ without parameters and what is returned. Others stay as they are.
pub(super) fn demangled(name: &str) -> Cow<'_, str> {
    // A version may follow: `malloc@@GLIBC_2.2.5`.
    let plain = name.split_once('@').map_or(name, |(plain, _)| plain);
    if let Ok(rust) = rustc_demangle::try_demangle(plain) {
        return Cow::Owned(format!("{rust:#}"));
    }
    let options = DemangleOptions::new().no_params().no_return_type();
    let is_mangled = plain.starts_with("_Z") || plain.starts_with("__Z");
    let demangled = is_mangled.then(|| Symbol::new(plain).ok()?.demangle_with_options(&options).ok());
    demangled.flatten().map_or(Cow::Borrowed(plain), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::demangled;

    #[test]
    fn names_are_as_in_the_source() {
        let cases = [
            ("_ZN4leak4keep17h0123456789abcdefE", "leak::keep"),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("_Z4leakm", "leak"),
            ("_ZN5Cache3putERKSsi", "Cache::put"),
            (
                "_ZNSt6vectorIP7SessionSaIS1_EE9push_backERKS1_",
                "std::vector<Session*, std::allocator<Session*> >::push_back",
            ),
            ("malloc@@GLIBC_2.2.5", "malloc"),
            ("main.(*shop).put", "main.(*shop).put"),
            ("_Zqq", "_Zqq"),
            ("", ""),
        ];
        for (name, expected) in cases {
            assert_eq!(demangled(name), expected, "{name}");
        }
    }
}
