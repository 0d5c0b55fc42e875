package trust

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// serve has a web server for the directory, and its source.
func serve(t *testing.T, handler http.Handler) Source {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	source, err := HTTP(server.URL, server.Client())
	must(t, err)
	return source
}

// everywhere runs a test with the repository on a web server, and on a stick.
func everywhere(t *testing.T, test func(t *testing.T, source func(dir string) Source)) {
	t.Helper()
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		test(t, func(dir string) Source { return serve(t, http.FileServer(http.Dir(dir))) })
	})
	t.Run("stick", func(t *testing.T) {
		t.Parallel()
		test(t, Directory)
	})
}

// refused holds an error to its kind and its words, and to being a refusal.
func refused(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) || !errors.As(err, new(*Refusal)) {
		t.Fatalf("error %v; want a refusal that is %q", err, kind)
	}
	for _, want := range words {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the refusal\n%s\ndoes not say %q", err, want)
		}
	}
}

func TestRefreshFindsWhatIsOffered(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, source func(string) Source) {
		f := normal(t)
		f.bundle(release.Release{Version: "1.10.0", Boards: []string{board}, Minimum: "1.1.0"}, 10)
		f.bundle(release.Release{Version: "0.9.0", Boards: []string{board}}, 10)
		f.add(f.targets, "notes/README", []byte("no bundle"), nil)
		f.add(f.targets, "bundles/else.raucb", []byte("x"), []byte(`{"assaygate":{"version":"1.2.0","boards":["`+board+`"]}}`))
		f.publish()
		repository, err := f.box().Refresh(t.Context(), source(f.dir))
		must(t, err)
		offers, err := repository.Offers(t.Context(), release.Box{Compatible: board, Version: runs})
		must(t, err)
		if len(offers) != 3 || offers[0].Release.Version != "1.10.0" || offers[1].Release.Version != "1.1.0" || offers[2].Release.Version != "0.9.0" {
			t.Fatalf("offers %+v", offers)
		}
		if !errors.Is(offers[0].Refused, release.ErrTooOld) || offers[1].Refused != nil || !errors.Is(offers[2].Refused, release.ErrNotNewer) {
			t.Errorf("refused: %v, %v, %v", offers[0].Refused, offers[1].Refused, offers[2].Refused)
		}
		good := offers[1]
		if good.Path != bundle11 || good.Length != 300_000 || good.Release.Notes != "Faster." || len(good.Hash()) != 64 || len(good.Hashes) != 2 {
			t.Errorf("offer %+v", good)
		}
		if good.Waves == nil || good.NoWaves != nil || good.Waves.Waves[0].Share != 5 {
			t.Errorf("waves %+v, %v", good.Waves, good.NoWaves)
		}
		if len(repository.Warnings) != 1 || !strings.Contains(repository.Warnings[0], "bundles/else.raucb") ||
			!strings.Contains(repository.Warnings[0], "its path must be bundles/assaygate-raspberrypi4_64-1.2.0.raucb") {
			t.Errorf("warnings %q", repository.Warnings)
		}
		if repository.Root != 1 || repository.Timestamp != 2 || !repository.Expires.Equal(f.timestamp.Signed.Expires) {
			t.Errorf("root %d, timestamp %d, expires %v", repository.Root, repository.Timestamp, repository.Expires)
		}
	})
}

// attack is what somebody does to a repository that boxes have followed before.
type attack struct {
	do    func(f *forge, before string) // before is a copy of the state before the last
	clock Clock
	kind  error
	words []string
}

func attacks() map[string]attack {
	overwrite := func(name, with string) func(*forge, string) {
		return func(f *forge, before string) {
			data, err := os.ReadFile(before + "/metadata/" + with)
			must(f.t, err)
			f.write("metadata/"+name, data)
		}
	}
	return map[string]attack{
		"wrong key": {
			do: func(f *forge, _ string) {
				f.signs[metadata.TIMESTAMP] = append(f.signs[metadata.TIMESTAMP], newKey(f.t))
				f.publish()
			},
			kind: ErrUntrusted, words: []string{"timestamp.json of the repository is not signed by the keys that this box trusts", "flashed anew"},
		},
		"another fleet": {
			do: func(f *forge, _ string) {
				must(f.t, os.RemoveAll(f.dir))
				must(f.t, os.CopyFS(f.dir, os.DirFS(normal(f.t).dir)))
			},
			kind: ErrUntrusted, words: []string{"it is from another fleet", "Check the address, or whose stick it is"},
		},
		"one signature of two": {
			do: func(f *forge, _ string) {
				f.signs[metadata.TARGETS] = f.keys[metadata.TARGETS][:1]
				f.publish()
			},
			kind: ErrUntrusted, words: []string{"targets.json of the repository is not signed", "got 1, want 2"},
		},
		"old metadata played back": {
			do:   overwrite("timestamp.json", "timestamp.json"),
			kind: ErrReplayed, words: []string{"older than what this box has seen", "Take the newest copy"},
		},
		"frozen": {
			do: func(*forge, string) {}, clock: at(today().Add(8 * 24 * time.Hour)),
			kind: ErrExpired, words: []string{
				"timestamp.json of the repository ran out on 2031-05-11 12:00 UTC", "today is 2031-05-12 12:00 UTC",
				"somebody holds back what is newer", "make the stick anew", "whether that clock is right",
			},
		},
		"expired root": {
			do: func(*forge, string) {}, clock: at(today().Add(13 * month)),
			kind: ErrExpired, words: []string{"1.root.json of the repository ran out", "whoever holds the root keys"},
		},
		"expired snapshot": {
			do:   func(f *forge, _ string) { f.snapshot.Signed.Expires = today().Add(-time.Hour); f.publish() },
			kind: ErrExpired, words: []string{"snapshot.json of the repository ran out on 2031-05-04 11:00 UTC"},
		},
		"expired targets": {
			do:   func(f *forge, _ string) { f.targets.Signed.Expires = today().Add(-time.Hour); f.publish() },
			kind: ErrExpired, words: []string{"list of bundles", "whoever makes your releases signs it anew"},
		},
		"mixed snapshots": {
			do: func(f *forge, _ string) {
				f.publish()
				f.write("metadata/3.snapshot.json", f.read("metadata/2.snapshot.json"))
			},
			kind: ErrDamaged, words: []string{"snapshot.json", "copies of different days are mixed", "Copy the whole repository again"},
		},
		"mixed targets": {
			do: func(f *forge, _ string) {
				f.publish()
				f.write("metadata/3.targets.json", f.read("metadata/2.targets.json"))
			},
			kind: ErrDamaged, words: []string{"targets.json", "copies of different days are mixed"},
		},
		"targets changed": {
			do: func(f *forge, _ string) {
				f.publish()
				f.write("metadata/3.targets.json", bytes.Replace(f.read("metadata/3.targets.json"), []byte("Faster"), []byte("Father"), 1))
			},
			kind: ErrDamaged, words: []string{"targets.json", "or somebody has changed it"},
		},
		"older targets in a new snapshot": { // by who has captured the online keys
			do: func(f *forge, _ string) {
				f.version++
				f.snapshot.Signed.Version, f.timestamp.Signed.Version = f.version, f.version
				f.snapshot.Signed.Meta[targetsFile].Version = 1
				f.publishSnapshot()
			},
			kind: ErrDamaged, words: []string{"snapshot.json"},
		},
		"targets taken out of a snapshot": {
			do: func(f *forge, _ string) {
				f.version++
				f.snapshot.Signed.Version, f.timestamp.Signed.Version = f.version, f.version
				delete(f.snapshot.Signed.Meta, targetsFile)
				f.publishSnapshot()
			},
			kind: ErrDamaged, words: []string{"snapshot.json"},
		},
		"timestamp of nothing": {
			do: func(f *forge, _ string) {
				f.timestamp.Signed.Version++
				f.timestamp.Signed.Meta = map[string]*metadata.MetaFiles{snapshotFile: nil}
				f.write("metadata/timestamp.json", sign(f, metadata.TIMESTAMP, f.timestamp))
			},
			kind: ErrDamaged, words: []string{"timestamp.json of the repository is not readable"},
		},
		"a login page": {
			do:   func(f *forge, _ string) { f.write("metadata/timestamp.json", []byte("<html>Welcome to our network")) },
			kind: ErrDamaged, words: []string{"a proxy or a login page answers in its place", "in a browser"},
		},
		"a login page for everything": {
			do:   func(f *forge, _ string) { f.write("metadata/2.root.json", []byte("<html>Welcome to our network")) },
			kind: ErrDamaged, words: []string{"2.root.json of the repository is not readable"},
		},
		"too much metadata": {
			do: func(f *forge, _ string) {
				f.write("metadata/timestamp.json", append(f.read("metadata/timestamp.json"), bytes.Repeat([]byte(" "), maxTimestamp)...))
			},
			kind: ErrEndless, words: []string{"metadata/timestamp.json of the repository has more than the 16384 bytes", "without end"},
		},
		"more than was signed": {
			do: func(f *forge, _ string) {
				f.publish()
				f.write("metadata/3.targets.json", append(f.read("metadata/3.targets.json"), ' '))
			},
			kind: ErrEndless, words: []string{"metadata/3.targets.json of the repository has more than"},
		},
		"files that change in place": {
			do: func(f *forge, _ string) {
				f.root.Signed.ConsistentSnapshot = false
				f.rotate(metadata.TIMESTAMP)
				f.publish()
			},
			kind: ErrDamaged, words: []string{"2.root.json is for a repository whose files change in place"},
		},
	}
}

func TestRefreshRefuses(t *testing.T) {
	t.Parallel()
	for name, a := range attacks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(t *testing.T, source func(string) Source) {
				f := normal(t)
				box := f.box()
				before := f.copyOf()
				f.publish()
				whole := f.copyOf()
				_, err := box.Refresh(t.Context(), source(f.dir))
				must(t, err)
				kept := keptIn(t, box)

				a.do(f, before)
				if a.clock != nil {
					box.clock = a.clock
				}
				repository, err := box.Refresh(t.Context(), source(f.dir))
				refused(t, err, a.kind, a.words...)
				if repository != nil {
					t.Error("there is a repository beside the refusal")
				}

				// What was right before still is, and is not forgotten, unless the attack was
				// signed as something newer.
				box.clock = at(today())
				for _, name := range []string{targetsFile, wavesFile} {
					if !bytes.Equal(keptIn(t, box)[name], kept[name]) {
						t.Errorf("%s was replaced", name)
					}
				}
				if reflect.DeepEqual(keptIn(t, box), kept) {
					_, err = box.Refresh(t.Context(), source(whole))
					must(t, err)
				}
			})
		})
	}
}

// TestRefreshRefusesFromTheFirstTime has no memory of a better time.
func TestRefreshRefusesFromTheFirstTime(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, source func(string) Source) {
		f := normal(t)
		box := f.box()
		_, err := box.Refresh(t.Context(), source(normal(t).dir))
		refused(t, err, ErrUntrusted, "another fleet")
		if kept := keptIn(t, box); len(kept) != 0 {
			t.Errorf("kept %v", names(kept))
		}
	})
}

func TestRefreshSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, source func(string) Source) {
		f := normal(t)
		for file, words := range map[string]string{
			"metadata/timestamp.json":  "there is no repository at ",
			"metadata/1.snapshot.json": "is not whole: metadata/1.snapshot.json is missing. Copy it again",
			"metadata/1.targets.json":  "is not whole: metadata/1.targets.json is missing. Copy it again",
		} {
			data := f.read(file)
			must(t, os.Remove(f.path(file)))
			_, err := f.box().Refresh(t.Context(), source(f.dir))
			if !errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*Refusal)) || !strings.Contains(err.Error(), words) {
				t.Errorf("without %s: error %v", file, err)
			}
			f.write(file, data)
		}
		_, err := f.box().Refresh(t.Context(), source(f.dir))
		must(t, err)
	})
}

func TestEndlessMetadataIsCutOff(t *testing.T) {
	t.Parallel()
	f := normal(t)
	for _, file := range []string{"2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"} {
		var sent int64
		source := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/metadata/"+file {
				http.FileServer(http.Dir(f.dir)).ServeHTTP(w, r)
				return
			}
			block := bytes.Repeat([]byte(" "), 4096)
			for r.Context().Err() == nil {
				n, err := w.Write(block)
				if sent += int64(n); err != nil {
					return
				}
			}
		}))
		_, err := f.box().Refresh(t.Context(), source)
		refused(t, err, ErrEndless, file)
	}
}

func TestRefreshOfAServerInTroubleIsNoRefusal(t *testing.T) {
	t.Parallel()
	f := normal(t)
	for status, words := range map[int]string{
		http.StatusInternalServerError:        "500 Internal Server Error",
		http.StatusProxyAuthRequired:          "407 Proxy Authentication Required",
		http.StatusTooManyRequests:            "429 Too Many Requests",
		http.StatusMovedPermanently:           "301 Moved Permanently",
		http.StatusServiceUnavailable:         "503 Service Unavailable",
		http.StatusNonAuthoritativeInfo:       "203",
		http.StatusPartialContent:             ErrNoRange.Error(),
		http.StatusUnavailableForLegalReasons: "451",
	} {
		source := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		_, err := f.box().Refresh(t.Context(), source)
		if err == nil || errors.As(err, new(*Refusal)) || !strings.Contains(err.Error(), words) {
			t.Errorf("%d: error %v", status, err)
		}
	}
	// Object stores answer 403 where there is no file, as for a root that is not there yet.
	source := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metadata/2.root.json" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		http.FileServer(http.Dir(f.dir)).ServeHTTP(w, r)
	}))
	_, err := f.box().Refresh(t.Context(), source)
	must(t, err)
}

func TestRefreshEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := normal(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the box is switched off")
	source := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel(why)
		<-r.Context().Done()
	}))
	if _, err := f.box().Refresh(ctx, source); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
}

func TestClockThatIsNotSet(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, source func(string) Source) {
		f := normal(t)
		before := f.copyOf()
		box := f.box()
		box.clock = func() (time.Time, bool) { return time.Unix(0, 0), false }
		repository, err := box.Refresh(t.Context(), source(f.dir))
		must(t, err)
		want := []string{"the clock of this box is not set, so nobody can tell whether the repository is up to date: set it (network.ntp, or a battery)"}
		if !reflect.DeepEqual(repository.Warnings, want) {
			t.Errorf("warnings %q", repository.Warnings)
		}
		// Expired by a clock that has only the time of the last switching off.
		box.clock = func() (time.Time, bool) { return today().Add(24 * month), false }
		repository, err = box.Refresh(t.Context(), source(f.dir))
		must(t, err)
		if len(repository.Warnings) != 1 || !strings.Contains(repository.Warnings[0], "ran out on 2031-05-11 12:00 UTC. It is followed because the clock of this box is not set") {
			t.Errorf("warnings %q", repository.Warnings)
		}
		offers, err := repository.Offers(t.Context(), release.Box{Compatible: board, Version: "1.2.0"})
		must(t, err)
		if len(offers) != 1 || !errors.Is(offers[0].Refused, release.ErrNotNewer) {
			t.Errorf("offers %+v", offers)
		}
		// What is older is refused all the same.
		f.publish()
		_, err = box.Refresh(t.Context(), source(f.dir))
		must(t, err)
		_, err = box.Refresh(t.Context(), source(before))
		refused(t, err, ErrReplayed)
		// And once the clock is set, what has expired is.
		box.clock = at(today().Add(24 * month))
		_, err = box.Refresh(t.Context(), source(f.dir))
		refused(t, err, ErrExpired)
	})
}

func TestRotationOverThreeRoots(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, source func(string) Source) {
		f := normal(t)
		box := f.box()
		_, err := box.Refresh(t.Context(), source(f.dir))
		must(t, err)
		f.root.Signed.Expires = today().Add(-month) // one in between may have run out
		f.rotate(metadata.ROOT)
		f.root.Signed.Expires = today().Add(24 * month)
		f.rotate(metadata.ROOT, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP)
		f.rotate(metadata.ROOT, metadata.TIMESTAMP)
		f.publish()
		for _, client := range []*Client{box, f.box()} {
			repository, err := client.Refresh(t.Context(), source(f.dir))
			must(t, err)
			if repository.Root != 4 || repository.Timestamp != 2 {
				t.Errorf("root %d, timestamp %d", repository.Root, repository.Timestamp)
			}
		}
		want := []string{"2.root.json", "3.root.json", "4.root.json", "snapshot.json", "targets.json", "timestamp.json", "waves.json"}
		if kept := names(keptIn(t, box)); !reflect.DeepEqual(kept, want) {
			t.Errorf("kept %v", kept)
		}
		// The roots are kept: they need not be there again, and those of before do not
		// count any longer.
		for _, root := range []string{"2.root.json", "3.root.json", "4.root.json"} {
			must(t, os.Remove(f.path("metadata/"+root)))
		}
		_, err = box.Refresh(t.Context(), source(f.dir))
		must(t, err)
	})
}

func TestGapBetweenTheRoots(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, source func(string) Source) {
		f := normal(t)
		box := f.box()
		for range 3 {
			f.rotate(metadata.ROOT, metadata.TIMESTAMP)
		}
		f.publish()
		third := f.read("metadata/3.root.json")
		must(t, os.Remove(f.path("metadata/3.root.json")))
		_, err := box.Refresh(t.Context(), source(f.dir))
		refused(t, err, ErrUntrusted, "metadata/3.root.json is missing from the repository, and 4.root.json is there", "Put every root.json back")

		f.write("metadata/3.root.json", f.read("metadata/4.root.json"))
		_, err = box.Refresh(t.Context(), source(f.dir))
		if !errors.Is(err, ErrUntrusted) && !errors.Is(err, ErrDamaged) {
			t.Errorf("a root under another's number: error %v", err)
		}
		f.write("metadata/3.root.json", f.read("metadata/1.root.json"))
		_, err = box.Refresh(t.Context(), source(f.dir))
		if !errors.Is(err, ErrUntrusted) && !errors.Is(err, ErrDamaged) {
			t.Errorf("an old root under a new number: error %v", err)
		}
		f.write("metadata/3.root.json", third)
		repository, err := box.Refresh(t.Context(), source(f.dir))
		must(t, err)
		if repository.Root != 4 {
			t.Errorf("root %d", repository.Root)
		}
	})
}

func TestRootThatTheOldKeysDidNotSign(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, source func(string) Source) {
		f := normal(t)
		f.root.Signed.Version = 2
		f.signs[metadata.ROOT] = f.keys[metadata.ROOT][:1] // one of two
		f.publishRoot()
		_, err := f.box().Refresh(t.Context(), source(f.dir))
		refused(t, err, ErrUntrusted, "2.root.json of the repository is not signed by the keys of the root before it, or not by enough of them")
	})
}

// TestTimestampOfAStolenKey is the recovery from a captured server, which has made
// a version that no honest one will ever reach.
func TestTimestampOfAStolenKey(t *testing.T) {
	t.Parallel()
	f := normal(t)
	box := f.box()
	f.timestamp.Signed.Version = 1 << 60
	f.write("metadata/timestamp.json", sign(f, metadata.TIMESTAMP, f.timestamp))
	_, err := box.Refresh(t.Context(), Directory(f.dir))
	must(t, err)
	f.publish()
	_, err = box.Refresh(t.Context(), Directory(f.dir))
	refused(t, err, ErrReplayed)
	f.rotate(metadata.TIMESTAMP, metadata.SNAPSHOT)
	f.publish()
	_, err = box.Refresh(t.Context(), Directory(f.dir))
	must(t, err)
}

// One rotated key, or a threshold that is raised, is enough to drop what both have signed: the
// kept files would still be signed by enough of the keys.
func TestOnlineMetadataOfAStolenKey(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(f *forge){
		"the snapshot's": func(f *forge) { f.rotate(metadata.SNAPSHOT) },
		"one more of the timestamp's": func(f *forge) {
			f.keys[metadata.TIMESTAMP] = append(f.keys[metadata.TIMESTAMP], newKey(f.t))
			must(f.t, f.root.Signed.AddKey(public(f.t, f.keys[metadata.TIMESTAMP][len(f.keys[metadata.TIMESTAMP])-1]), metadata.TIMESTAMP))
			f.rotate()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := normal(t)
			box := f.box()
			version := f.version
			f.version = 1 << 40
			f.publish()
			_, err := box.Refresh(t.Context(), Directory(f.dir))
			must(t, err)
			f.version = version
			f.publish()
			_, err = box.Refresh(t.Context(), Directory(f.dir))
			refused(t, err, ErrReplayed)
			f.rotate()
			_, err = box.Refresh(t.Context(), Directory(f.dir))
			refused(t, err, ErrReplayed) // other keys have nothing to do with it
			change(f)
			f.publish()
			_, err = box.Refresh(t.Context(), Directory(f.dir))
			must(t, err)
			if kept := keptIn(t, box); kept[timestampFile] == nil || kept[snapshotFile] == nil {
				t.Errorf("it keeps %v", names(kept))
			}
		})
	}
}

// TestCardFlashedForAnotherFleet keeps its data, and with that what it trusted.
func TestCardFlashedForAnotherFleet(t *testing.T) {
	t.Parallel()
	first, second := normal(t), normal(t)
	first.rotate(metadata.ROOT)
	first.publish()
	box := first.box()
	_, err := box.Refresh(t.Context(), Directory(first.dir))
	must(t, err)
	box.root = second.read("metadata/1.root.json")
	repository, err := box.Refresh(t.Context(), Directory(second.dir))
	must(t, err)
	if repository.Root != 1 || repository.Timestamp != 1 {
		t.Errorf("root %d, timestamp %d", repository.Root, repository.Timestamp)
	}
	// A newer image of the fleet has its newer root, and nothing is forgotten.
	before := second.copyOf()
	second.rotate(metadata.ROOT)
	second.publish()
	box.root = second.read("metadata/2.root.json")
	_, err = box.Refresh(t.Context(), Directory(second.dir))
	must(t, err)
	_, err = box.Refresh(t.Context(), Directory(before))
	refused(t, err, ErrReplayed)
}

func TestRootOfFlashingThatIsNone(t *testing.T) {
	t.Parallel()
	f := normal(t)
	for _, root := range []string{"", "{}", `{"signed":{"_type":"root","roles":{"root":null}},"signatures":[]}`, string(f.read("metadata/timestamp.json"))} {
		box := f.box()
		box.root = []byte(root)
		_, err := box.Refresh(t.Context(), Directory(f.dir))
		refused(t, err, ErrDamaged, "the root.json that this box was flashed with cannot be used: flash the box anew")
	}
}

// FuzzMetadata hands over what a captured server may sign: no panic, and nothing
// that is not signed is taken.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"signed":{"_type":"timestamp","meta":{"snapshot.json":null}},"signatures":[]}`,
		`{"signed":{"_type":"targets","targets":{"x":null}},"signatures":[null]}`,
		`{"signed":{"_type":"root","roles":{"root":null}},"signatures":null}`,
	} {
		f.Add([]byte(seed))
	}
	repository := normal(f)
	box := repository.box()
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range []string{"metadata/2.root.json", "metadata/timestamp.json"} {
			must(t, os.WriteFile(repository.path(name), data, 0o600))
			if _, err := box.Refresh(t.Context(), Directory(repository.dir)); err == nil {
				t.Fatalf("%q was taken for %s", data, name)
			}
			must(t, os.Remove(repository.path(name)))
		}
	})
}
