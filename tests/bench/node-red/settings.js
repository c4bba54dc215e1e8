// Node-RED as lean as it can be set: no editor, no HTTP at all, contexts in memory (the default), nothing logged but errors.
module.exports = {
    httpAdminRoot: false,
    httpNodeRoot: false,
    flowFile: "flows.json",
    credentialSecret: false,
    diagnostics: { enabled: false },
    runtimeState: { enabled: false },
    externalModules: { autoInstall: false, palette: { allowInstall: false } },
    functionExternalModules: false,
    logging: { console: { level: "error", metrics: false, audit: false } },
};
