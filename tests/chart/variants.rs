//! The chart in its variants, and every other manifest that is shipped: what all judges look at.

use crate::helm::{path, template, text};

/// Sets of values, each of which changes what is rendered.
pub const VARIANTS: [(&str, &[&str]); 21] = [
    ("default", &[]),
    ("one replica", &["--set", "replicaCount=1"]),
    (
        "five replicas",
        &[
            "--set",
            "replicaCount=5,concurrency=4,replacements.max=500,replacements.maxPerNamespace=3,replacements.maxPerTarget=2",
        ],
    ),
    ("takeover", &["--set", "takeover=01234567-89ab-cdef-0123-456789abcdef"]),
    (
        "another image",
        &["--set", "image.repository=registry.example.com:5000/a/roadstead,image.tag=v9,image.pullPolicy=Always"],
    ),
    (
        "image by digest",
        &["--set", "image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"],
    ),
    ("pull secrets", &["--set-json", r#"imagePullSecrets=[{"name":"regcred"}]"#]),
    ("watched namespaces", &["--set", "watchNamespaces={team-a,team-b}"]),
    ("allowed kubeconfigs", &["--set-json", r#"allowKubeconfig=["exec","file-paths"]"#]),
    ("logs", &["--set", "log.level=info\\,roadstead=debug,log.format=text"]),
    ("an account that exists", &["--set", "serviceAccount.create=false,serviceAccount.name=mine"]),
    (
        "the least",
        &["--set", "podDisruptionBudget.enabled=false,metrics.service.enabled=false,networkPolicy.enabled=false"],
    ),
    (
        "network peers",
        &[
            "--set-json",
            r#"networkPolicy={"metricsFrom":[{"namespaceSelector":{"matchLabels":{"a":"b"}}}],"extraEgress":[{"ports":[{"protocol":"TCP","port":6443}]}]}"#,
        ],
    ),
    (
        "with a gateway",
        &["--set", "gateway.enabled=true,gateway.url=https://models.example.com,watchNamespaces={team-a}"],
    ),
    (
        "managed services",
        &[
            "--set-json",
            r#"endpointOverrides={"VertexAI":"https://restricted.example.com","SageMaker":"http://192.0.2.1:4566"},extraEnv=[{"name":"AWS_REGION","value":"eu-west-1"}]"#,
        ],
    ),
    (
        "federation",
        &[
            "--set",
            "federation.google.configMap=google,federation.google.audience=hub,federation.azure.tenantId=t,federation.azure.clientId=c",
        ],
    ),
    ("simulated cloud", &["--set", "simulatedCloud.enabled=true"]),
    (
        "monitoring",
        &[
            "--set-json",
            r#"metrics={"deployments":0,"serviceMonitor":{"enabled":true,"interval":"30s","labels":{"release":"prometheus"}},"prometheusRule":{"enabled":true,"runbookBaseUrl":"https://docs.example.com/runbook","labels":{"release":"prometheus"}},"dashboard":{"enabled":true,"annotations":{"grafana_folder":"Models"}}}"#,
        ],
    ),
    ("orphans", &["--set", "orphans.delete=true,orphans.minAgeSeconds=86400"]),
    ("resources", &["--set-json", r#"resources={"requests":{"cpu":1},"limits":{"memory":"1Gi"}}"#]),
    (
        "scheduling",
        &[
            "--set-json",
            r#"nodeSelector={"a":"b"},tolerations=[{"operator":"Exists"}],affinity={"nodeAffinity":{}},podLabels={"team":"x"},podAnnotations={"a/b":"c"}"#,
        ],
    ),
];

/// Sets of values of the gateway's chart.
pub const GATEWAY_VARIANTS: [(&str, &[&str]); 13] = [
    ("gateway", &[]),
    ("gateway: routes elsewhere", &["--set", "routesNamespace=routes"]),
    ("gateway: in another cluster", &["--set", "hub.kubeconfigSecret=hub,replicaCount=3"]),
    (
        "gateway: images",
        &[
            "--set",
            "image.repository=registry.example.com/a/roadstead,image.tag=v9,image.pullPolicy=Always,envoy.image=registry.example.com/envoy@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "--set-json",
            r#"imagePullSecrets=[{"name":"regcred"}]"#,
        ],
    ),
    ("gateway: addresses", &["--set", "domain=models.example.com,shared=true,tls.secretName=certificate"]),
    (
        "gateway: limits",
        &[
            "--set",
            "trustedHops=1,bufferBytes=268435456,maxConnections=1000000,pollMillis=2000,noticeSeconds=20,terminationGracePeriodSeconds=3630,envoy.concurrency=8",
        ],
    ),
    (
        "gateway: last routes on a volume",
        &[
            "--set-json",
            r#"state={"persistentVolumeClaim":{"claimName":"routes"}},log={"level":"debug","format":"text"}"#,
        ],
    ),
    (
        "gateway: load balancer",
        &[
            "--set-json",
            r#"service={"type":"LoadBalancer","port":443,"annotations":{"a/b":"c"},"loadBalancerClass":"example.com/lb","loadBalancerSourceRanges":["192.0.2.0/24","2001:db8::/32"]}"#,
        ],
    ),
    (
        "gateway: network peers",
        &[
            "--set-json",
            r#"networkPolicy={"callersFrom":[{"ipBlock":{"cidr":"192.0.2.0/24"}}],"metricsFrom":[{"namespaceSelector":{"matchLabels":{"a":"b"}}}],"extraEgress":[{"ports":[{"protocol":"TCP","port":6443}]}]}"#,
        ],
    ),
    (
        "gateway: the least",
        &[
            "--set",
            "replicaCount=1,podDisruptionBudget.enabled=false,networkPolicy.enabled=false,serviceAccount.create=false,serviceAccount.name=mine",
        ],
    ),
    (
        "gateway: tokens",
        &[
            "--set-json",
            r#"tokenSeconds=900,hostedQuietSeconds=60,extraEnv=[{"name":"AWS_REGION","value":"eu-west-1"}]"#,
        ],
    ),
    (
        "gateway: federation",
        &[
            "--set",
            "hub.kubeconfigSecret=hub,federation.google.configMap=google,federation.google.audience=hub,federation.azure.tenantId=t,federation.azure.clientId=c",
        ],
    ),
    (
        "gateway: scheduling",
        &[
            "--set-json",
            r#"nodeSelector={"a":"b"},tolerations=[{"operator":"Exists"}],affinity={"nodeAffinity":{}},podLabels={"team":"x"},podAnnotations={"a/b":"c"},serviceAccount={"name":"gateway","annotations":{"a/b":"c"}},resources={"requests":{"cpu":1}},envoy={"resources":{"limits":{"memory":"4Gi"}}}"#,
        ],
    ),
];

/// Every manifest that is shipped or rendered, by its name.
pub fn manifests() -> Vec<(String, String)> {
    let mut all = vec![("roadstead-crds".to_owned(), template("roadstead-crds", &[]).unwrap())];
    for (variant, values) in VARIANTS {
        let mut args = vec!["--set", "installId=prod"];
        args.extend(values);
        all.push((variant.to_owned(), template("roadstead", &args).unwrap()));
    }
    for (variant, values) in GATEWAY_VARIANTS {
        all.push((variant.to_owned(), template("roadstead-gateway", values).unwrap()));
    }
    for file in ["deploy/install.yaml", "deploy/gateway-remote.yaml"] {
        all.push((file.to_owned(), text(file)));
    }
    // The second one adds a right to the account of the first.
    all.push((
        "deploy/member.yaml".to_owned(),
        text("deploy/member.yaml") + "\n---\n" + &text("deploy/member-proxy.yaml"),
    ));
    for entry in std::fs::read_dir(path("examples/demo")).unwrap().flatten() {
        let name = format!("examples/demo/{}", entry.file_name().to_string_lossy());
        all.push((name.clone(), text(&name)));
    }
    all
}
