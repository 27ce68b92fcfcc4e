// base/yaml.h: YAML documents as trees that know their places; libyaml is behind it.
#pragma once
#include "base/faults.h"
#include "base/json.h"

typedef enum YamlKind { YAML_KIND_SCALAR, YAML_KIND_SEQUENCE, YAML_KIND_MAPPING } YamlKind;

// Lives in the arena of yaml_parse, as do its texts.
typedef struct YamlNode YamlNode;
struct YamlNode {
    YamlKind kind;
    bool is_plain;      // a scalar without quotes: only such a one may be a number, a truth value or null
    unsigned line;      // 1-based
    unsigned column;    // 1-based, in characters
    Str text;           // of a scalar
    Str key;            // of a mapping's member
    unsigned key_line;
    unsigned key_column;
    size_t count;             // elements or members
    const YamlNode *first;    // the first element or member, in the document's order
    const YamlNode *next;     // the sibling
};

enum { YAML_DEPTH_MAX = 32, YAML_BYTES_MAX = 4 * MIB, YAML_NODES_MAX = 200000 };

// Reads one document. What is wrong with it is added to `faults`: broken syntax or UTF-8, anchors and aliases, tags, a
// key that is no plain text, a duplicate key, a second document, more than YAML_DEPTH_MAX levels, YAML_BYTES_MAX bytes
// or YAML_NODES_MAX nodes. *out is NULL for an empty document, and where a fault leaves no tree; a duplicate key is
// left out of its mapping. Fails with ERR_NO_MEMORY alone.
MUST_CHECK bool yaml_parse(Str text, Arena *arena, Faults *faults, const YamlNode **out, Error *err);

// Reading; every function takes NULL as a node that is absent.
const YamlNode *yaml_member(const YamlNode *mapping, Str key);    // NULL where absent or not a mapping
Str yaml_text(const YamlNode *node);                              // the empty text unless it is a scalar
bool yaml_is_null(const YamlNode *node);                          // absent, or plain: empty, ~ or null
bool yaml_is_int(const YamlNode *node, int64_t *out);    // plain, decimal, within int64; else *out is untouched
bool yaml_is_bool(const YamlNode *node, bool *out);      // plain: true or false
const char *yaml_kind_name(const YamlNode *node);        // "a text", "a list" ...: for messages

// The tree as JSON by the rules of YAML 1.2's core schema: plain null, true, false, decimal integers and numbers, all
// else text. The caller closes *out. Fails with ERR_NO_MEMORY.
MUST_CHECK bool yaml_to_json(const YamlNode *node, Json **out, Error *err);

// A JSON document as YAML text in `arena`, keys in their order, texts quoted where they would read as something else.
// Fails with ERR_NO_MEMORY.
MUST_CHECK bool yaml_print(const Json *json, Arena *arena, Str *out, Error *err);
