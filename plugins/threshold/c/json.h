/* JSON (RFC 8259) where it lies: a text is checked once, as a whole, and then looked into. Nothing is built. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

/* A value inside of a text that was checked. */
typedef struct {
    const char *at;
    const char *end;
} json_value;

/* Whether it is JSON, all of it, in UTF-8, and nested no deeper than 128 levels. */
bool json_read(const void *text, size_t length, json_value *value);

/* What stands at a JSON Pointer (RFC 6901), such as `/object/temperature`. */
bool json_at(json_value value, const char *pointer, json_value *found);

/* A number that fits a double; false for all else. */
bool json_number(json_value value, double *number);

/* A text, ended by 0, to be given to `free`; NULL for all else, and for one with a 0 inside. */
char *json_text(json_value value);

/* The next member of an object. Begin with `{ NULL, NULL }`; the name is to be given to `free`. */
bool json_member(json_value object, json_value *member, char **name);

#endif
