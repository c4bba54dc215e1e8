/* What an author of a filter in C depends on. It hides the batch and makes actions of plain calls.
 *
 * What goes into an action is copied, and freed when the gateway has read it. */
#ifndef STILE_H
#define STILE_H

#include "filter.h"

typedef stile_filter_types_message_t stile_message;
typedef stile_filter_types_action_t stile_action;
typedef stile_filter_types_draft_t stile_draft;

/* Written by the author: reads the settings, a JSON object. NULL, or what the operator has to change. */
const char *configure(const char *settings, size_t length);

/* Written by the author: judges a message, `index` being its place in the batch. False: it goes on as it is, at no cost;
 * true: what one of the functions below put into `action` becomes of it. */
bool judge(const stile_message *message, uint32_t index, stile_action *action);

/* It ends here, as the filter is meant to. Keep to a few different reasons, such as `unchanged`. */
bool stile_drop(stile_action *action, const char *reason);

/* The filter can't judge it: the operator's `on-failure` decides. */
bool stile_reject(stile_action *action, const char *why);

/* It goes on with this user property. Other changes can be put into `action->val.modify`. */
bool stile_set_property(stile_action *action, const char *name, const char *value);

/* It ends here, and so many drafts go on instead: they are in `action->val.replace.ptr`, empty. */
bool stile_replace(stile_action *action, size_t drafts);

/* A message as it came, to go on beside others. How long it is still worth delivering is not known here. */
void stile_like(stile_draft *draft, const stile_message *message, uint32_t index);

/* Sets a user property of a draft; any of the same name go first. */
void stile_draft_property(stile_draft *draft, const char *name, const char *value);

/* A copy of a text. */
filter_string_t stile_copy(const char *text);

/* Writes a line to the gateway's log, where its level is written at all. */
void stile_log(stile_filter_log_level_t level, const char *text);

#endif
