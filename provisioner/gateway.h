// provisioner/gateway.h: HAProxy in front of all cells: its files, and bringing a running one to what the record says.
#pragma once
#include "base/json.h"
#include "provisioner/place.h"
#include "provisioner/platform.h"

// What the settings say. `directory` empty: gateway/ below the platform's; where `shopctl up` runs the gateway there,
// it is the platform's record that says it. Paths become absolute; texts in `arena`. Fails with ERR_NOT_FOUND without
// the user.
MUST_CHECK bool gateway_options_read(const Settings *settings, Str directory, Arena *arena, GatewayOptions *out,
                                     Error *err);

// Of the gateway that `shopctl up` runs: what the settings say, and what the platform's record says, into whose member
// "gateway" gateway_options_note has put it. Its address is `listen`; its user isn't looked for yet.
MUST_CHECK bool gateway_options_platform(const Settings *settings, Str listen, Arena *arena, GatewayOptions *out,
                                         Error *err);
MUST_CHECK bool gateway_options_noted(const Place *place, const Json *record, Arena *arena, GatewayOptions *out,
                                      Error *err);
// Replaces the options by the noted ones where `shopctl up` runs the gateway of the platform in this directory by now.
MUST_CHECK bool gateway_options_renew(GatewayOptions *options, Str data, Arena *arena, Error *err);
bool gateway_options_note(const GatewayOptions *options, Json *gateway);    // false without memory
// Finds the user's group. Fails with ERR_NOT_FOUND.
MUST_CHECK bool gateway_user_find(GatewayOptions *options, Arena *arena, Error *err);

// Writes haproxy.cfg, its maps and its pages where they changed (with `is_dry_run`: only says so): {"directory",
// "files":[{"file","changed"}],"hosts","cells","problems":[{"what","next"}]}. The caller closes *out. Fails with
// ERR_INVALID for an address or a path that a configuration can't have, ERR_NOT_FOUND without certificates or user.
MUST_CHECK bool gateway_render(Platform *platform, const GatewayOptions *options, bool is_dry_run, Json **out,
                               Error *err);

// Brings a running HAProxy to what the record says, without a reload, and the files as well (with `is_dry_run`: only
// says so): {"address","changes":[TEXT],"reload":COMMAND or null,"why":[TEXT],"problems":[...]}. `reload` is what to
// run where something needs it, `why` is that. Fails with ERR_UNREACHABLE where none runs, ERR_BUSY while another
// shopctl is at it.
MUST_CHECK bool gateway_sync(Platform *platform, const GatewayOptions *options, bool is_dry_run, Json **out,
                             Error *err);

// {"state":"running|stopped","address","tls_address","backends":[{"cell","backend","servers":[{"address","state",
// "sessions"}]}],"hosts","spares","in_sync","differences":[TEXT],"problems":[...]}. The caller closes *out.
MUST_CHECK bool gateway_status(Platform *platform, const GatewayOptions *options, Json **out, Error *err);

// Brings the running gateway of this platform to what the record says, as soon as it has changed; without one it does
// nothing. What can't be done is a warning: the controller tries again.
void gateway_refresh(Platform *platform);
