package main

import "testing"

// TestConfigErrors shows for each mistake the lines that a person reads. Each
// text stands behind a right `version: 1` line.
func TestConfigErrors(t *testing.T) {
	const lan = "instruments: [{name: a, astm: {listen: ':1'}"
	for name, test := range map[string]struct{ text, want string }{
		"misspelt section": {"instrument: []", "f:2:1: instrument: unknown key; did you mean instruments? allowed are admin, box, config_drive, console, destinations, instruments, log, network, owner, privacy, profiles, shutdown_grace, spool, update, version"},
		"misspelt key":     {"instruments: [{name: a, serial: {port: /dev/ttyS0, stopbits: 1}}]", "f:2:52: instruments[0].serial.stopbits: unknown key; did you mean stop_bits? allowed are baud, data_bits, dtr, flow, parity, port, rts, stop_bits"},
		"twice":            {"log: {level: info}\nlog: {format: text}", "f:3:1: log: given twice, first on line 2; remove one"},
		"no value":         {"privacy:", "f:2:1: privacy: has no value; give one or remove the key"},
		"not YAML":         {"box: {name: a", "f:2:1: not YAML: did not find expected ',' or '}'; a brace that opens here is not closed"},
		"tab":              {"box:\n\tname: a", "f:3:2: not YAML: found character that cannot start any token; indent with spaces, and put texts that begin with a special character in quotes"},
		"list":             {"instruments: {name: a}", "f:2:1: instruments: want a list such as [one, two], not keys with values"},
		"type":             {"spool: {keep_days: long}", "f:2:9: spool.keep_days: long is not a whole number"},
		"size":             {"spool: {keep_size: 2GB}", "f:2:9: spool.keep_size: 2GB is not a size; write 2GiB"},
		"duration":         {"shutdown_grace: 10", "f:2:1: shutdown_grace: 10 has no unit; write a duration such as 15s, 10m or 14d"},
		"long grace":       {"shutdown_grace: 1d", "f:2:1: shutdown_grace: 24h0m0s is too long; give at most 10m"},
		"parity":           {"instruments: [{name: a, serial: {port: /dev/ttyS0, parity: mark}}]", "f:2:52: instruments[0].serial.parity: mark is not known; allowed are none, even, odd"},
		"serial values":    {"instruments: [{name: a, serial: {port: ttyS0, baud: 12, data_bits: 9}}]", "f:2:34: instruments[0].serial.port: ttyS0 is not a device path; write /dev/ttyS0\nf:2:47: instruments[0].serial.baud: 12 is not between 50 and 4000000; usual are 9600, 19200, 38400 and 115200\nf:2:57: instruments[0].serial.data_bits: 9 is not 7 or 8"},
		"no name":          {"instruments: [{astm: {listen: ':1'}}]", "f:2:15: instruments[0].name: missing; add it"},
		"odd name":         {"instruments: [{name: 'a b', astm: {listen: ':1'}}]", `f:2:16: instruments[0].name: "a b" cannot be used; take up to 64 letters, digits, dots, hyphens and underscores, beginning with a letter or digit`},
		"box's name":       {"instruments: [{name: admin, astm: {listen: ':1'}}]", "f:2:16: instruments[0].name: admin is the name of a part of the box; take another"},
		"same name":        {lan + "}, {name: A, serial: {port: /dev/ttyS0}}]", "f:2:49: instruments[1].name: another instrument is called a; names are unique, whatever their case"},
		"no line":          {"instruments: [{name: a}]", "f:2:15: instruments[0]: no line; add one of serial, astm, hl7, emerald"},
		"two lines":        {lan + ", hl7: {listen: ':2'}}]", "f:2:47: instruments[0].hl7: stands beside astm; an instrument has one line, so make two instruments or remove one"},
		"listen and dial":  {"instruments: [{name: a, astm: {listen: ':1', dial: 'b:2'}}]", "f:2:46: instruments[0].astm.dial: cannot stand beside listen; keep one of them"},
		"dial":             {"instruments: [{name: a, hl7: {dial: ':2'}}]", "f:2:31: instruments[0].hl7.dial: :2 names no host or no port; write HOST:PORT"},
		"ack":              {"instruments: [{name: a, hl7: {listen: ':1', ack: never}}]", "f:2:45: instruments[0].hl7.ack: never is not known; allowed are auto, original, enhanced"},
		"emerald":          {"instruments: [{name: a, emerald: {listen: '1200'}}]", `f:2:35: instruments[0].emerald.listen: 1200 is not host:port; write for example ":4010" or "127.0.0.1:4010"`},
		"protocol":         {lan + ", protocol: hl7}]", "f:2:47: instruments[0].protocol: hl7 does not fit the line astm; remove it, or make the line hl7"},
		"unknown protocol": {lan + ", protocol: atsm}]", "f:2:47: instruments[0].protocol: atsm is not known; did you mean astm? allowed are astm, hl7, vendor"},
		"two protocols":    {lan + "}, {name: b, hl7: {listen: ':1'}}]", "f:2:64: instruments[1].hl7.listen: a listens for astm there; only instruments of one protocol share a listener"},
		"overlap":          {lan + "}, {name: b, astm: {listen: '127.0.0.1:1'}}]", "f:2:65: instruments[1].astm.listen: 127.0.0.1:1 and :1 of a cannot both be opened; write the same address to share one listener, or take another port"},
		"admin's address":  {"instruments: [{name: a, astm: {listen: ':9110'}}]", "f:2:32: instruments[0].astm.listen: :9110 is the address of admin; take another port"},
		"same serial port": {"instruments: [{name: a, serial: {port: /dev/ttyS0}}, {name: b, serial: {port: /dev/ttyS0}}]", "f:2:73: instruments[1].serial.port: a is at /dev/ttyS0; a port is one instrument's"},
		"shared TLS":       {lan + ", tls: {certificate: c, key: k}}, {name: b, astm: {listen: ':1'}, tls: {certificate: d, key: k}}]", "f:2:111: instruments[1].tls: differs from that of a, which shares the listener; say it the same, or once"},
		"charset":          {lan + ", charset: latin-99}]", `f:2:47: instruments[0].charset: character set "latin-99" is not known; try latin-1, cp1252, utf-8 or gbk`},
		"nobody allowed":   {lan + ", allow_from: []}]", "f:2:47: instruments[0].allow_from: names no network, so that nobody could connect; name one, or remove it to let everybody"},
		"time zone":        {lan + ", timezone: Europe/Berlim}]", "f:2:47: instruments[0].timezone: Europe/Berlim is not known; give an IANA name such as Europe/Berlin or UTC"},
		"quirk ack":        {lan + ", quirks: {ack: never}}]", "f:2:56: instruments[0].quirks.ack: never is not one of auto, original, enhanced"},
		"query":            {lan + ", quirks: {query: never}}]", "f:2:56: instruments[0].quirks.query: never is not one of no_information, no_order, none"},
		"frame size":       {lan + ", quirks: {frame_size: 64000}}]", "f:2:56: instruments[0].quirks.frame_size: 64000 is not between 1 and 63993; 240 is what every receiver takes"},
		"receiver timeout": {lan + ", quirks: {receiver_timeout: 1h}}]", "f:2:56: instruments[0].quirks.receiver_timeout: 1h0m0s is not between 1s and 10m0s"},
		"quirk":            {lan + ", quirks: {end: never}}]", "f:2:56: instruments[0].quirks.end: never is not one of record, eot"},
		"deliver":          {lan + ", deliver: [result, calib, result]}]", "f:2:65: instruments[0].deliver[1]: calib is not known; allowed are result, qc, calibration, test\nf:2:72: instruments[0].deliver[2]: result stands there twice; remove one"},
		"limits":           {lan + ", limits: {connections: 600, message: 1, idle: 10ms}}]", "f:2:56: instruments[0].limits.connections: 600 is not between 1 and 512\nf:2:74: instruments[0].limits.message: 1 bytes is not between 1KiB and 256MiB\nf:2:86: instruments[0].limits.idle: 10ms is too short; give at least 1s, or 0 for no limit"},
		"allow_from":       {lan + ", allow_from: [10.0.0.1, 10.0.0.5/24, lab]}]", "f:2:60: instruments[0].allow_from[0]: 10.0.0.1 is an address; write 10.0.0.1/32 for it alone\nf:2:70: instruments[0].allow_from[1]: 10.0.0.5/24 is an address within a network; write 10.0.0.0/24 for the network\nf:2:83: instruments[0].allow_from[2]: lab is not a network; write for example 10.20.0.0/24"},
		"serial and TLS":   {"instruments: [{name: a, serial: {port: /dev/ttyS0}, tls: {certificate: c}, allow_from: [10.0.0.0/8]}]", "f:2:53: instruments[0].tls.key: missing; a certificate needs its key\nf:2:53: instruments[0].tls: a serial line has none; remove it\nf:2:76: instruments[0].allow_from: only for a line that listens; remove it"},
		"shared networks":  {lan + ", allow_from: [10.0.0.0/8]}, {name: b, astm: {listen: ':1'}, allow_from: [10.0.0.0/9]}]", "f:2:106: instruments[1].allow_from: differs from that of a, which shares the listener; say it the same, or once"},
		"shared limits":    {lan + ", limits: {connections: 9}}, {name: b, astm: {listen: ':1'}, limits: {connections: 8}}]", "f:2:106: instruments[1].limits: differs from that of a, which shares the listener; say it the same, or once"},
		"TLS listener":     {lan + ", tls: {client_ca: a, ca: b, server_name: c}}]", "f:2:47: instruments[0].tls.certificate: missing; a line that listens needs certificate and key\nf:2:67: instruments[0].tls.ca: only for a line that is dialled; remove it\nf:2:74: instruments[0].tls.server_name: only for a line that is dialled; remove it"},
		"dialled TLS":      {"instruments: [{name: a, hl7: {dial: 'b:2'}, tls: {key: k, client_ca: c}}]", "f:2:45: instruments[0].tls.certificate: missing; a key needs its certificate\nf:2:59: instruments[0].tls.client_ca: only for a line that listens; remove it"},
		"TLS key":          {lan + ", tls: {cert: c}}]", "f:2:53: instruments[0].tls.cert: unknown key; allowed are ca, certificate, client_ca, key, server_name"},
		"allowlist":        {"privacy: {hl7: {allow: {obx: [1], OBX: [0, 3]}}, astm: {allow: {}}}", "f:2:25: privacy.hl7.allow.obx: is not the name of a segment, such as OBX\nf:2:41: privacy.hl7.allow.OBX[0]: 0 is not the number of a field; the first is 1\nf:2:57: privacy.astm.allow: names nothing, so that nothing would be left; name what may stay"},
		"half allowlist":   {"privacy: {hl7: {drop_unmatched_segments: true}}", "f:2:11: privacy.hl7.allow: missing; add it"},
		"no destination":   {"destinations: [{name: a}]", "f:2:16: destinations[0]: nowhere to deliver to; add one of senaite, capture"},
		"senaite":          {"destinations:\n  - name: a\n    senaite:\n      url: http://lims.example.org/s\n      format: xml\n      consumer: {astm: x, hl8: y}\n", "f:5:7: destinations[0].senaite.url: http:// would send password and results unencrypted; use https://, or allow it with plain_http: true\nf:6:7: destinations[0].senaite.format: xml is not known; allowed are json, astm, lis2a, hl7\nf:7:27: destinations[0].senaite.consumer.hl8: is not a key here; the keys are astm and hl7"},
		"no URL":           {"destinations: [{name: a, senaite: {username: u, in_flight: 0}}]", "f:2:26: destinations[0].senaite.url: missing; add it\nf:2:49: destinations[0].senaite.in_flight: 0 is not between 1 and 64"},
		"two destinations": {"destinations: [{name: a, senaite: {url: 'https://h'}, capture: {directory: d}}]", "f:2:55: destinations[0].capture: stands beside senaite; a destination is one of them, so make two destinations"},
		"capture":          {"destinations: [{name: a, capture: {directory: /x}}, {name: a, capture: {directory: /x, wires: on}}]", "f:2:54: destinations[1].name: another destination is called a; names are unique, whatever their case\nf:2:73: destinations[1].capture.directory: a writes there too; give each a directory of its own\nf:2:88: destinations[1].capture.wires: unknown key; did you mean wire? allowed are directory, wire"},
		"staged files":     {"destinations: [{name: a, capture: {directory: d}, staging: true}]", "f:2:51: destinations[0].staging: is for a senaite destination; files show what was received, so remove it"},
		"staged lims":      {"destinations: [{name: a, senaite: {url: 'https://h/s'}}, {name: b, senaite: {url: 'https://u@h/s/'}, staging: true}]", "f:2:78: destinations[1].senaite.url: a leads to the same LIMS, and only one of both is for staging; give the LIMS for tests an address of its own"},
		"spool":            {"spool: {directory: '', keep_days: -1}", "f:2:9: spool.directory: is empty; name the directory that keeps the messages\nf:2:24: spool.keep_days: -1 is negative; give a number of days, or 0 for no limit"},
		"drive":            {"config_drive: {confirm_within: 1s}", "f:2:1: config_drive.directory: missing; add it\nf:2:16: config_drive.confirm_within: 1s is not between 10s and 24h"},
		"write request":    {"spool: {directory: /data/spool}\nconfig_drive: {directory: /s, write_request: /data/x/../spool/spool.db}", "f:3:31: config_drive.write_request: /data/x/../spool/spool.db is in the store, and the file that is named here is removed again and again; name another place"},
		"sealed request":   {"config_drive: {directory: /s, write_request: /data/spool.sealed-1/spool.db}", "f:2:31: config_drive.write_request: /data/spool.sealed-1/spool.db is in the store, and the file that is named here is removed again and again; name another place"},
		"network":          {"network: {interfaces: {eth0: {gateway: x}}, ntp: ['a b'], hostname: -x}", "f:2:24: network.interfaces.eth0: has neither dhcp: true nor addresses\nf:2:31: network.interfaces.eth0.gateway: x is not an address\nf:2:51: network.ntp[0]: \"a b\" is not the name or address of a host\nf:2:59: network.hostname: \"-x\" is not a host's name; take up to 63 letters, digits and hyphens"},
		"update":           {"update: {repository: 'ftp://x', window: '2:00-25:00'}", "f:2:10: update.repository: is not a URL; write for example https://updates.example.org/assaygate\nf:2:33: update.window: \"2:00-25:00\" is not a part of the day; write for example \"02:00-05:00\""},
		"update network":   {"update: {repository: 'https://u:p@x/', proxy: 'ftp://u:s3cret@p', rate: 512, force_after: 20m}", "f:2:10: update.repository: holds a user or password; a repository needs none, remove it\nf:2:40: update.proxy: must begin with http://, https:// or socks5://\nf:2:67: update.rate: 512 bytes a second are too few for a release to come to its end; give at least 1KiB, or 0 for no bound\nf:2:78: update.force_after: 20m0s is less than 1h0m0s: a release could not wait for an analyser to end its session"},
		"update units":     {"update: {windows: x, rate: 1MB, force_after: 14}", "f:2:10: update.windows: unknown key; did you mean window? allowed are ca, force_after, proxy, rate, repository, window\nf:2:22: update.rate: 1MB is not a size; write 1MiB\nf:2:33: update.force_after: 14 has no unit; write a duration such as 15s, 10m or 14d"},
		"admin":            {"admin: {listen: here, tls: {key: k}}", "f:2:9: admin.listen: here is not host:port; write for example \":4010\" or \"127.0.0.1:4010\"\nf:2:23: admin.tls.certificate: missing; a key needs its certificate"},
		"hash":             {"console: {users: {eva: {role: admin, password_hash: $argon2i$x}}}", "f:2:38: console.users.eva.password_hash: is no argon2id hash; a hash is one line, as `assaygate console-password` prints it"},
		"two passwords":    {"console: {users: {eva: {role: admin, password: x, password_hash: x}}}", "f:2:38: console.users.eva.password: password_hash is there too; remove one of them"},
		"no password":      {"console: {users: {eva: {role: admin}}}", "f:2:19: console.users.eva.password_hash: missing; `assaygate console-password` makes one"},
		"role":             {"console: {users: {eva: {password: x, role: root}}}", "f:2:38: console.users.eva.role: root is not known; allowed are admin, viewer"},
		"owner":            {"owner: {public_key: 'a b'}", "f:2:9: owner.public_key: is not one word; write the key as `assaygate owner keygen` prints it"},
		"log":              {"log: {level: trace, format: xml}", "f:2:7: log.level: trace is not known; allowed are debug, info, warn, error\nf:2:21: log.format: xml is not known; allowed are json, text"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseConfig([]byte("version: 1\n"+test.text+"\n"), "f")
			if err == nil || err.Error() != test.want {
				t.Errorf("got\n%v\nwant\n%s", err, test.want)
			}
		})
	}
	_, err := parseConfig([]byte("version: 2"), "f")
	if want := "f:1:1: version: 2 is not known; this program reads version 1"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}
