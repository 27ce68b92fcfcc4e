// provisioner/engine_frames.c: cuts a stream of frames.
#include "provisioner/engine_frames.h"

bool engine_frames_next(EngineFrames *frames, Str *bytes, EngineOutput *output, Str *out)
{
    *out = S("");
    if (bytes->len == 0)
        return false;
    if (frames->head_len < ENGINE_FRAME_HEAD) {
        size_t len = MIN(bytes->len, ENGINE_FRAME_HEAD - frames->head_len);
        memcpy(frames->head + frames->head_len, bytes->data, len);
        frames->head_len += len;
        *bytes = str_skip(*bytes, len);
        if (frames->head_len < ENGINE_FRAME_HEAD)
            return true;
        const unsigned char *size = &frames->head[4];
        frames->left = (size_t)size[0] << 24 | (size_t)size[1] << 16 | (size_t)size[2] << 8 | size[3];
    }
    *output = (EngineOutput)frames->head[0];
    *out = str_slice(*bytes, 0, frames->left);
    *bytes = str_skip(*bytes, out->len);
    frames->left -= out->len;
    if (frames->left == 0)
        frames->head_len = 0;
    return true;
}
