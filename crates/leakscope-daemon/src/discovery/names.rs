//! Guesses the name of the service that a process is, from its arguments and two variables of its environment. Pure.

use leakscope_model::Runtime;

/// What a guess looks at.
#[derive(Debug, Default)]
pub(super) struct NameTraces<'a> {
    pub(super) runtime: Runtime,
    /// Path of the executable; empty when it may not be read.
    pub(super) exe: &'a str,
    pub(super) args: &'a [String],
    /// Variables of the environment that name a service, already picked out: see [`NAMING_VARIABLES`].
    pub(super) env: &'a [(String, String)],
}

/// Variables that name a service, best first. Nothing else of an environment is looked at.
pub(super) const NAMING_VARIABLES: [&str; 4] =
    ["OTEL_SERVICE_NAME", "DD_SERVICE", "OTEL_RESOURCE_ATTRIBUTES", "SERVICE_NAME"];
/// Stems of scripts that say nothing; their folder does.
const EMPTY_STEMS: [&str; 12] =
    ["app", "index", "main", "server", "manage", "run", "start", "www", "wsgi", "asgi", "service", "__main__"];
/// Folders that say nothing either.
const EMPTY_FOLDERS: [&str; 12] =
    ["src", "dist", "build", "bin", "lib", "app", "server", "out", "target", "release", "debug", "opt"];
/// Longest name, characters. Beyond: cut.
const NAME_CHARS_MAX: usize = 100;

/// The name of the service. `package_name` gives the `name` of the nearest `package.json` of a script's path.
pub(super) fn service_name(traces: &NameTraces<'_>, package_name: &dyn Fn(&str) -> Option<String>) -> String {
    let by_runtime = || match traces.runtime {
        Runtime::Node => node(traces.args, package_name),
        Runtime::Jvm => jvm(traces.args),
        Runtime::Python => python(traces.args),
        Runtime::DotNet => dotnet(traces.args),
        Runtime::Go | Runtime::Native | Runtime::Unknown => None,
    };
    let name = by_environment(traces.env).or_else(|| by_property(traces.args)).or_else(by_runtime);
    let name = name.or_else(|| of_path(traces.exe.trim_end_matches(" (deleted)")));
    let name = name.or_else(|| of_path(traces.args.first().map_or("", String::as_str)));
    let name = name.unwrap_or_else(|| "unknown".to_owned());
    name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect()
}

fn by_environment(env: &[(String, String)]) -> Option<String> {
    NAMING_VARIABLES.iter().find_map(|wanted| {
        let (_, value) = env.iter().find(|(name, value)| name == wanted && !value.is_empty())?;
        if *wanted == "OTEL_RESOURCE_ATTRIBUTES" {
            return value.split(',').find_map(|pair| pair.trim().strip_prefix("service.name=")).map(str::to_owned);
        }
        Some(value.clone())
    })
}

/// `-Dspring.application.name=shop` and its like.
fn by_property(args: &[String]) -> Option<String> {
    const PROPERTIES: [&str; 5] = [
        "-Dotel.service.name=",
        "-Dspring.application.name=",
        "--spring.application.name=",
        "-Dquarkus.application.name=",
        "-Ddd.service=",
    ];
    let value = |arg: &String| PROPERTIES.iter().find_map(|property| arg.strip_prefix(property).map(str::to_owned));
    args.iter().find_map(value).filter(|name| !name.is_empty())
}

fn node(args: &[String], package_name: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    const WITH_VALUE: [&str; 6] = ["-r", "--require", "--import", "--loader", "--env-file", "--title"];
    let script = script(args, &WITH_VALUE)?;
    package_name(script).or_else(|| of_script(script))
}

fn jvm(args: &[String]) -> Option<String> {
    const WITH_VALUE: [&str; 7] =
        ["-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-modules", "--add-opens"];
    if let Some(at) = args.iter().position(|arg| arg == "-jar") {
        return args.get(at + 1).and_then(|jar| of_path(jar)).map(|jar| without_version(jar.trim_end_matches(".jar")));
    }
    if let Some(at) = args.iter().position(|arg| arg == "-m" || arg == "--module") {
        return args.get(at + 1).map(|module| module.rsplit(['/', '.']).next().unwrap_or(module).to_owned());
    }
    let class = script(args, &WITH_VALUE)?;
    class.rsplit(['.', '/', '$']).next().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// `shop-service-1.4.2-SNAPSHOT` without what begins with a number.
fn without_version(name: &str) -> String {
    let starts =
        |(at, _): &(usize, &str)| name.get(at + 1..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let cut = name.match_indices('-').find(starts).map_or(name.len(), |(at, _)| at);
    name.get(..cut).filter(|stem| !stem.is_empty()).unwrap_or(name).to_owned()
}

fn python(args: &[String]) -> Option<String> {
    const SERVERS: [&str; 8] =
        ["gunicorn", "uvicorn", "hypercorn", "flask", "celery", "daphne", "waitress-serve", "uwsgi"];
    let rest = args.get(1..).unwrap_or_default();
    if let Some(at) = rest.iter().position(|arg| arg == "-m") {
        let module = rest.get(at + 1)?;
        if !SERVERS.contains(&module.as_str()) {
            return Some(module.trim_end_matches(".__main__").to_owned());
        }
        return application(rest.get(at + 2..)?).or_else(|| Some(module.clone()));
    }
    let script = script(args, &["-W", "-X"]).or_else(|| args.first().map(String::as_str))?;
    let stem = of_path(script)?;
    if SERVERS.contains(&stem.as_str()) {
        return application(rest).or(Some(stem));
    }
    of_script(script)
}

/// The `module` of a server's argument `module:application`.
fn application(args: &[String]) -> Option<String> {
    let is_module =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
    let found = args.iter().filter(|arg| !arg.starts_with('-')).filter_map(|arg| arg.split_once(':'));
    let (module, _) = found.into_iter().find(|(module, app)| {
        is_module(module) && app.starts_with(|c: char| c.is_alphabetic() || c == '_') && module.parse::<u8>().is_err()
    })?;
    let parts: Vec<&str> = module.split('.').collect();
    parts.iter().rev().find(|part| !EMPTY_STEMS.contains(part)).or(parts.first()).map(|part| (*part).to_owned())
}

fn dotnet(args: &[String]) -> Option<String> {
    let stem = args.iter().find_map(|arg| arg.strip_suffix(".dll"))?;
    of_path(stem)
}

/// The first argument that is no option.
fn script<'a>(args: &'a [String], with_value: &[&str]) -> Option<&'a str> {
    let mut rest = args.iter().skip(1);
    while let Some(arg) = rest.next() {
        if with_value.contains(&arg.as_str()) {
            rest.next();
        } else if !arg.starts_with(['-', '@']) {
            return Some(arg);
        }
    }
    None
}

/// A script's stem, or its folder when the stem says nothing.
fn of_script(path: &str) -> Option<String> {
    let file = of_path(path)?;
    let stem =
        [".py", ".js", ".mjs", ".cjs", ".ts", ".pyc"].iter().find_map(|end| file.strip_suffix(end)).unwrap_or(&file);
    if !EMPTY_STEMS.contains(&stem) {
        return Some(stem.to_owned());
    }
    let folders = path.rsplit('/').skip(1);
    let telling =
        folders.into_iter().find(|folder| !matches!(*folder, "" | "." | "..") && !EMPTY_FOLDERS.contains(folder));
    Some(telling.unwrap_or(stem).to_owned())
}

/// The last element of a path.
fn of_path(path: &str) -> Option<String> {
    path.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(runtime: Runtime, command: &str) -> String {
        let args: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let exe = args[0].clone();
        let package = |path: &str| path.contains("node_shop").then(|| "shop".to_owned());
        service_name(&NameTraces { runtime, exe: &exe, args: &args, env: &[] }, &package)
    }

    #[test]
    fn commands_give_the_names_a_person_would() {
        for (runtime, command, name) in [
            (Runtime::Node, "/usr/bin/node --inspect /srv/node_shop/server.js --port 1", "shop"),
            (Runtime::Node, "node -r dotenv/config services/cart/dist/index.js", "cart"),
            (Runtime::Node, "node worker.mjs", "worker"),
            (
                Runtime::Jvm,
                "/usr/bin/java -Xmx1g -jar /app/shop-service-1.4.2-SNAPSHOT.jar --server.port=1",
                "shop-service",
            ),
            (Runtime::Jvm, "java @jvm.options -cp target/x:lib/* org.example.ShopMain --port 1", "ShopMain"),
            (Runtime::Jvm, "java -Dspring.application.name=orders -jar a.jar", "orders"),
            (Runtime::Jvm, "java -p mods -m org.shop/org.shop.Main", "Main"),
            (Runtime::Python, "python3 -m http.server 8000", "http.server"),
            (Runtime::Python, "python3 -m uvicorn shop.main:app --port 1", "shop"),
            (
                Runtime::Python,
                "/venv/bin/python /venv/bin/gunicorn -b 127.0.0.1:80 billing.wsgi:application",
                "billing",
            ),
            (Runtime::Python, "python -u services/billing/app.py", "billing"),
            (Runtime::Python, "python worker.py", "worker"),
            (Runtime::DotNet, "dotnet /app/Shop.Api.dll --urls x", "Shop.Api"),
            (Runtime::Go, "/usr/local/bin/shopd --config x", "shopd"),
            (Runtime::Native, "/opt/x/shop (deleted)", "shop"),
            (Runtime::Unknown, "", "unknown"),
        ] {
            assert_eq!(guess(runtime, command), name, "{command}");
        }
    }

    #[test]
    fn a_name_in_the_environment_wins() {
        let env = [("OTEL_RESOURCE_ATTRIBUTES".to_owned(), "a=b, service.name=orders".to_owned())];
        let traces = NameTraces { runtime: Runtime::Go, exe: "/bin/x", args: &[], env: &env };
        assert_eq!(service_name(&traces, &|_| None), "orders");
    }
}
