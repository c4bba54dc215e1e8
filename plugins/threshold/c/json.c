#include "json.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DEEPEST 128

static const char *value_end(const char *at, const char *end, int depth);

static const char *blanks(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
    return at;
}

static bool digit(const char *at, const char *end) { return at < end && *at >= '0' && *at <= '9'; }

static const char *digits(const char *at, const char *end) {
    if (!digit(at, end)) return NULL;
    while (digit(at, end)) at++;
    return at;
}

static const char *number_end(const char *at, const char *end) {
    if (at < end && *at == '-') at++;
    at = at < end && *at == '0' ? at + 1 : digits(at, end);
    if (at && at < end && *at == '.') at = digits(at + 1, end);
    if (at && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        at = digits(at, end);
    }
    return at;
}

/* The length of one character of UTF-8 (RFC 3629); 0 where it is none. */
static size_t character(const char *at, const char *end) {
    const uint8_t *byte = (const uint8_t *)at;
    size_t length = byte[0] < 0x80 ? 1 : byte[0] < 0xc2 ? 0 : byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : byte[0] < 0xf5 ? 4 : 0;
    if (length > (size_t)(end - at)) return 0;
    for (size_t i = 1; i < length; i++)
        if ((byte[i] & 0xc0) != 0x80) return 0;
    bool overlong = (byte[0] == 0xe0 && byte[1] < 0xa0) || (byte[0] == 0xf0 && byte[1] < 0x90);
    bool beyond = (byte[0] == 0xed && byte[1] > 0x9f) || (byte[0] == 0xf4 && byte[1] > 0x8f);
    return overlong || beyond ? 0 : length;
}

/* The four digits behind `\u`; -1 where there are none. */
static long unit(const char *at, const char *end) {
    long found = 0;
    if (end - at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i] | 0x20;
        int value = c >= 'a' && c <= 'f' ? c - 'a' + 10 : at[i] >= '0' && at[i] <= '9' ? at[i] - '0' : -1;
        if (value < 0) return -1;
        found = found << 4 | value;
    }
    return found;
}

/* Reads what stands behind a backslash, and moves on; -1 where it is nothing. */
static long escape(const char **at, const char *end) {
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (*at >= end) return -1;
    char name = *(*at)++;
    const char *known = name ? strchr(names, name) : NULL;
    if (known) return (unsigned char)meant[known - names];
    if (name != 'u') return -1;
    long high = unit(*at, end);
    if (high < 0 || (high >= 0xdc00 && high < 0xe000)) return -1;
    *at += 4;
    if (high < 0xd800 || high >= 0xe000) return high;
    if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') return -1;
    long low = unit(*at + 2, end);
    if (low < 0xdc00 || low >= 0xe000) return -1;
    *at += 6;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* The end of a text that begins at its quotation mark. */
static const char *text_end(const char *at, const char *end) {
    for (at++; at < end && *at != '"';) {
        if ((unsigned char)*at < 0x20) return NULL;
        if (*at == '\\') {
            at++;
            if (escape(&at, end) < 0) return NULL;
        } else {
            size_t length = character(at, end);
            if (length == 0) return NULL;
            at += length;
        }
    }
    return at < end ? at + 1 : NULL;
}

/* The end of a list or an object that begins at its bracket. */
static const char *group_end(const char *at, const char *end, int depth) {
    char close = *at == '{' ? '}' : ']';
    bool named = *at == '{';
    at = blanks(at + 1, end);
    if (at < end && *at == close) return at + 1;
    for (;;) {
        if (named) {
            at = at < end && *at == '"' ? text_end(at, end) : NULL;
            at = at ? blanks(at, end) : NULL;
            if (!at || at >= end || *at != ':') return NULL;
            at = blanks(at + 1, end);
        }
        at = value_end(at, end, depth);
        at = at ? blanks(at, end) : NULL;
        if (!at || at >= end) return NULL;
        if (*at == close) return at + 1;
        if (*at != ',') return NULL;
        at = blanks(at + 1, end);
    }
}

static const char *word_end(const char *at, const char *end, const char *word) {
    size_t length = strlen(word);
    return (size_t)(end - at) >= length && memcmp(at, word, length) == 0 ? at + length : NULL;
}

/* The end of the value that begins here; NULL where there is none. */
static const char *value_end(const char *at, const char *end, int depth) {
    if (at >= end) return NULL;
    switch (*at) {
    case '{':
    case '[': return depth < DEEPEST ? group_end(at, end, depth + 1) : NULL;
    case '"': return text_end(at, end);
    case 't': return word_end(at, end, "true");
    case 'f': return word_end(at, end, "false");
    case 'n': return word_end(at, end, "null");
    default: return number_end(at, end);
    }
}

bool json_read(const void *text, size_t length, json_value *value) {
    const char *at = text, *end = at + length;
    at = blanks(at, end);
    const char *behind = value_end(at, end, 0);
    if (!behind || blanks(behind, end) != end) return false;
    *value = (json_value){at, behind};
    return true;
}

bool json_number(json_value value, double *number) {
    size_t length = (size_t)(value.end - value.at);
    if (*value.at != '-' && !digit(value.at, value.end)) return false;
    char *copy = malloc(length + 1);
    if (!copy) return false;
    memcpy(copy, value.at, length);
    copy[length] = 0;
    *number = strtod(copy, NULL);
    free(copy);
    return true;
}

/* Writes a character as UTF-8. */
static char *put(char *to, long point) {
    if (point < 0x80) {
        *to++ = (char)point;
        return to;
    }
    int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    static const int marks[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(marks[more] | point >> (6 * more));
    while (more--) *to++ = (char)(0x80 | (point >> (6 * more) & 0x3f));
    return to;
}

char *json_text(json_value value) {
    if (*value.at != '"') return NULL;
    /* What is escaped takes more room than what it stands for. */
    char *text = malloc((size_t)(value.end - value.at)), *to = text;
    if (!text) return NULL;
    for (const char *at = value.at + 1; at < value.end - 1;) {
        if (*at != '\\') {
            *to++ = *at++;
            continue;
        }
        at++;
        long point = escape(&at, value.end);
        if (point == 0) {
            free(text);
            return NULL;
        }
        to = put(to, point);
    }
    *to = 0;
    return text;
}

/* Moves on to the next value of a list or an object, and to its name where it has one. */
static bool next(json_value group, json_value *member, json_value *name) {
    const char *at = blanks(member->at ? member->end : group.at + 1, group.end);
    if (*at == '}' || *at == ']') return false;
    /* Behind a value that is not the last one stands a comma. */
    if (member->at) at = blanks(at + 1, group.end);
    if (*group.at == '{') {
        *name = (json_value){at, text_end(at, group.end)};
        at = blanks(blanks(name->end, group.end) + 1, group.end);
    }
    *member = (json_value){at, value_end(at, group.end, 0)};
    return true;
}

bool json_member(json_value object, json_value *member, char **name) {
    json_value named;
    if (*object.at != '{' || !next(object, member, &named)) return false;
    *name = json_text(named);
    return true;
}

/* Whether a name is that of a pointer's level: `length` bytes, with `~1` and `~0` for what they stand for. */
static bool named(const char *name, const char *level, size_t length) {
    for (const char *end = level + length; level < end; level++, name++) {
        char meant = *level;
        if (meant == '~' && level + 1 < end && (level[1] == '0' || level[1] == '1')) meant = *++level == '0' ? '~' : '/';
        if (*name == 0 || *name != meant) return false;
    }
    return *name == 0;
}

/* The last member of that name: what stands twice is what stands there last. */
static bool member_at(json_value object, const char *level, size_t length, json_value *found) {
    json_value member = {NULL, NULL};
    char *name;
    bool is_there = false;
    while (json_member(object, &member, &name)) {
        if (name && named(name, level, length)) {
            *found = member;
            is_there = true;
        }
        free(name);
    }
    return is_there;
}

static bool element_at(json_value list, const char *level, size_t length, json_value *found) {
    json_value element = {NULL, NULL}, nameless;
    size_t place = 0;
    if (length == 0 || length > 9 || (level[0] == '0' && length > 1)) return false;
    for (size_t i = 0; i < length; i++) {
        if (!digit(level + i, level + length)) return false;
        place = place * 10 + (size_t)(level[i] - '0');
    }
    do {
        if (!next(list, &element, &nameless)) return false;
    } while (place-- > 0);
    *found = element;
    return true;
}

bool json_at(json_value value, const char *pointer, json_value *found) {
    while (*pointer == '/') {
        size_t length = strcspn(++pointer, "/");
        bool is_there = *value.at == '{'   ? member_at(value, pointer, length, &value)
                        : *value.at == '[' ? element_at(value, pointer, length, &value)
                                           : false;
        if (!is_there) return false;
        pointer += length;
    }
    *found = value;
    return true;
}
