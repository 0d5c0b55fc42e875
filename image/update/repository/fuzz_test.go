package repository

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What waits for signatures comes from other people's computers, on sticks.
func FuzzPending(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "repository")
	if _, _, err := Init(dir, DefaultInit()); err != nil {
		f.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	defer r.Close()
	for _, role := range []string{Root, Targets, Waves} {
		r.change(role)
	}
	whole, err := r.draft.file([]string{Root, Targets, Waves})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"root":{"signed":{"_type":"root","version":2,"roles":{"root":null}}}}`))
	f.Add([]byte(`{"targets":{"signed":{"_type":"targets","version":2,"targets":{"a":null}}}}`))
	f.Add([]byte(`{"waves":{"signed":{"_type":"targets","version":2}}}`))
	path := filepath.Join(f.TempDir(), "pending.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		waits, err := readPending(path)
		if err != nil {
			return
		}
		r := &Repository{dir: t.TempDir(), settings: r.settings, keys: r.keys, base: r.base, now: r.now, replace: replace}
		r.draft, r.waits.stale = newDraft(r.base, waits)
		r.Stale()
		r.Waiting()
		r.lacking(r.draft.changed)
		if _, err := r.signDraft(); err != nil {
			return
		}
		_, _, _ = r.complete(true)
	})
}

// What is published may have been changed by a stranger.
func FuzzWalk(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "repository")
	if _, _, err := Init(dir, DefaultInit()); err != nil {
		f.Fatal(err)
	}
	public := metadataReader(filepath.Join(dir, "public"))
	names := []string{"1.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json", "1.waves.json"}
	for i, name := range names {
		text, err := public(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), text)
		var all map[string]any
		if err := json.Unmarshal(text, &all); err != nil {
			f.Fatal(err)
		}
		all["signed"] = map[string]any{"_type": all["signed"].(map[string]any)["_type"]}
		bare, err := json.Marshal(all)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), bare)
	}
	f.Fuzz(func(t *testing.T, which byte, text []byte) {
		name := names[int(which)%len(names)]
		read := public.over([]file{{name, text}, {"2.root.json", text}})
		first, err := read(names[0])
		if err != nil {
			t.Fatal(err)
		}
		if box, err := walk(read, first, time.Now()); err == nil && box.Root.Signed.Version != 1 {
			t.Errorf("root %d was made of nothing", box.Root.Signed.Version)
		}
	})
}
