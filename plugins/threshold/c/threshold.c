/* Lets through readings that changed, and raises an alert where one passes a limit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "stile.h"

static struct {
    char *field;
    double limit;
    char *alerts;
} settings;

/* What the operator is told. */
static char wrong[256];

static const char *refuse(const char *format, const char *what) {
    snprintf(wrong, sizeof wrong, format, what);
    return wrong;
}

/* Takes over one setting. */
static const char *set(const char *name, json_value value) {
    if (strcmp(name, "limit") == 0) return json_number(value, &settings.limit) ? NULL : "`limit` has to be a number";
    char **text = strcmp(name, "field") == 0 ? &settings.field : strcmp(name, "alerts") == 0 ? &settings.alerts : NULL;
    if (!text) return refuse("there is no setting `%s`", name);
    free(*text);
    *text = json_text(value);
    return *text ? NULL : refuse("`%s` has to be a text", name);
}

const char *configure(const char *given, size_t length) {
    json_value object, value = {NULL, NULL};
    char *name;
    settings.field = strdup("");
    settings.alerts = strdup("alert");
    settings.limit = NAN;
    if (!json_read(given, length, &object)) return "the settings are no JSON";
    while (json_member(object, &value, &name)) {
        const char *why = name ? set(name, value) : "a setting has no name";
        free(name);
        if (why) return why;
    }
    if (isnan(settings.limit)) return "`limit` has to be a number";
    if (*settings.field && *settings.field != '/')
        return refuse("`field` is no JSON Pointer; write `/%s`", settings.field);
    if (!*settings.alerts || strpbrk(settings.alerts, "+#")) return "`alerts` is no level of a topic";
    return NULL;
}

/* The reading of this topic that went on last; NaN where there is none. */
static double last(filter_string_t topic) {
    filter_list_u8_t kept;
    char text[64] = "";
    if (!stile_filter_kv_get(&topic, &kept)) return NAN;
    memcpy(text, kept.ptr, kept.len < sizeof text ? kept.len : sizeof text - 1);
    filter_list_u8_free(&kept);
    return strtod(text, NULL);
}

/* What can't be kept lets a message too many go on, and none too few. */
static void keep(filter_string_t topic, double reading) {
    char text[32];
    filter_list_u8_t value = {(uint8_t *)text, (size_t)snprintf(text, sizeof text, "%.17g", reading)};
    stile_filter_kv_kv_error_t error;
    stile_filter_kv_set(&topic, &value, NULL, &error);
}

static void alert(stile_draft *draft, const stile_message *message, double reading) {
    size_t topic = message->topic.len + 1 + strlen(settings.alerts);
    char payload[96], *text = malloc(topic + 1);
    snprintf(payload, sizeof payload, "{\"reading\":%.17g,\"limit\":%.17g}", reading, settings.limit);
    snprintf(text, topic + 1, "%.*s/%s", (int)message->topic.len, (char *)message->topic.ptr, settings.alerts);
    filter_string_t copy = stile_copy(payload);
    draft->topic = (filter_string_t){(uint8_t *)text, topic};
    draft->payload = (filter_list_u8_t){copy.ptr, copy.len};
    draft->qos = message->qos;
    draft->content_type = (filter_option_string_t){true, stile_copy("application/json")};
}

bool judge(const stile_message *message, uint32_t index, stile_action *action) {
    json_value payload, found;
    double reading;
    if (!json_read(message->payload.ptr, message->payload.len, &payload))
        return stile_reject(action, "the payload is no JSON");
    if (!json_at(payload, settings.field, &found) || !json_number(found, &reading)) return false;
    /* What is too large for a number is read as infinite. */
    if (isinf(reading)) return stile_reject(action, "the payload is no JSON");
    double before = last(message->topic);
    if (before == reading) return stile_drop(action, "unchanged");
    keep(message->topic, reading);
    const char *trend = isnan(before) ? "first" : reading > before ? "rising" : "falling";
    if (reading <= settings.limit || before > settings.limit) return stile_set_property(action, "trend", trend);
    stile_replace(action, 2);
    stile_draft *drafts = action->val.replace.ptr;
    stile_like(&drafts[0], message, index);
    stile_draft_property(&drafts[0], "trend", trend);
    alert(&drafts[1], message, reading);
    return true;
}
