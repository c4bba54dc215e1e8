#include "stile.h"

#include <stdlib.h>
#include <string.h>

/* Memory that is not there ends the instance, and the gateway makes a new one. */
static void *room(size_t bytes) {
    void *made = calloc(1, bytes ? bytes : 1);
    if (!made) __builtin_trap();
    return made;
}

static uint8_t *copied(const uint8_t *bytes, size_t length) { return length ? memcpy(room(length), bytes, length) : NULL; }

filter_string_t stile_copy(const char *text) {
    size_t length = strlen(text);
    return (filter_string_t){copied((const uint8_t *)text, length), length};
}

bool stile_drop(stile_action *action, const char *reason) {
    action->tag = STILE_FILTER_TYPES_ACTION_DROP;
    action->val.drop = stile_copy(reason);
    return true;
}

bool stile_reject(stile_action *action, const char *why) {
    action->tag = STILE_FILTER_TYPES_ACTION_REJECT;
    action->val.reject = stile_copy(why);
    return true;
}

bool stile_set_property(stile_action *action, const char *name, const char *value) {
    stile_filter_types_property_t *property = room(sizeof *property);
    *property = (stile_filter_types_property_t){stile_copy(name), stile_copy(value)};
    action->tag = STILE_FILTER_TYPES_ACTION_MODIFY;
    action->val.modify = (stile_filter_types_patch_t){.set = {property, 1}};
    return true;
}

bool stile_replace(stile_action *action, size_t drafts) {
    action->tag = STILE_FILTER_TYPES_ACTION_REPLACE;
    action->val.replace = (stile_filter_types_list_draft_t){room(drafts * sizeof(stile_draft)), drafts};
    return true;
}

void stile_like(stile_draft *draft, const stile_message *message, uint32_t index) {
    *draft = (stile_draft){
        .topic = {copied(message->topic.ptr, message->topic.len), message->topic.len},
        .payload = {copied(message->payload.ptr, message->payload.len), message->payload.len},
        .qos = message->qos,
        .retain = message->retain,
    };
    draft->content_type.is_some = stile_filter_context_content_type(index, &draft->content_type.val);
    draft->response_topic.is_some = stile_filter_context_response_topic(index, &draft->response_topic.val);
    draft->correlation.is_some = stile_filter_context_correlation(index, &draft->correlation.val);
    stile_filter_context_list_property_t properties;
    stile_filter_context_user_properties(index, &properties);
    draft->properties = (stile_filter_types_list_property_t){properties.ptr, properties.len};
}

void stile_draft_property(stile_draft *draft, const char *name, const char *value) {
    stile_filter_types_list_property_t *had = &draft->properties;
    stile_filter_types_property_t *all = room((had->len + 1) * sizeof *all);
    size_t kept = 0, length = strlen(name);
    for (size_t i = 0; i < had->len; i++) {
        stile_filter_types_property_t *property = &had->ptr[i];
        if (property->name.len == length && memcmp(property->name.ptr, name, length) == 0)
            stile_filter_types_property_free(property);
        else
            all[kept++] = *property;
    }
    if (had->len) free(had->ptr);
    all[kept++] = (stile_filter_types_property_t){stile_copy(name), stile_copy(value)};
    *had = (stile_filter_types_list_property_t){all, kept};
}

void stile_log(stile_filter_log_level_t level, const char *text) {
    if (level < stile_filter_log_threshold()) return;
    filter_string_t line = {(uint8_t *)text, strlen(text)};
    stile_filter_log_write(level, &line);
}

bool exports_stile_filter_filter_configure(stile_filter_types_setup_t *setup, stile_filter_types_error_t *error) {
    const char *wrong = configure((const char *)setup->config.ptr, setup->config.len);
    stile_filter_types_setup_free(setup);
    if (!wrong) return true;
    *error = (stile_filter_types_error_t){STILE_FILTER_TYPES_ERROR_INVALID, {stile_copy(wrong)}};
    return false;
}

bool exports_stile_filter_filter_process(exports_stile_filter_filter_list_message_t *messages,
                                         exports_stile_filter_filter_list_decision_t *decisions,
                                         stile_filter_types_error_t *error) {
    (void)error;
    stile_filter_types_decision_t *made = room(messages->len * sizeof *made);
    size_t count = 0;
    for (size_t index = 0; index < messages->len; index++) {
        stile_filter_types_decision_t *decision = &made[count];
        if (judge(&messages->ptr[index], (uint32_t)index, &decision->action)) {
            decision->index = (uint32_t)index;
            count++;
        }
        stile_filter_types_message_free(&messages->ptr[index]);
    }
    free(messages->ptr);
    /* What has no elements is not freed by the bindings. */
    if (count == 0) free(made);
    *decisions = (exports_stile_filter_filter_list_decision_t){made, count};
    return true;
}
