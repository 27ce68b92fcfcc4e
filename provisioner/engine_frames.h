// provisioner/engine_frames.h: the frames in which an engine mixes a process's two outputs where it has no terminal: a
// byte that says which one it is, three of zero, four of length. Source: Docker Engine API, ContainerAttach, "Stream
// format".
#pragma once
#include "base/error.h"
#include "base/str.h"

enum { ENGINE_FRAME_HEAD = 8 };

typedef enum EngineOutput { ENGINE_STDIN, ENGINE_STDOUT, ENGINE_STDERR } EngineOutput;

// Where a reader is; zero is the start.
typedef struct EngineFrames {
    unsigned char head[ENGINE_FRAME_HEAD];
    size_t head_len;
    size_t left;    // of the frame whose head is whole
} EngineFrames;

// Takes the next piece of a frame off the front of *bytes: true and *out, which is empty when a head alone was there;
// false when *bytes is empty.
bool engine_frames_next(EngineFrames *frames, Str *bytes, EngineOutput *output, Str *out);
