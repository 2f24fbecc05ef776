// The Go client against the shared vectors, and as a bee; see tests/wire/test_clients.py.
//
//	conformance vectors FILE FOLDER   -> {"passed": {group: count}, "failed": [text]}
//	conformance turn SOCKET           -> {"text": ..., "finish": {...}}
//	conformance reconnect SOCKET HID  -> the tones heard, one a line
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"

	"thrum"
)

type vector = map[string]any

func integer(value any) int64 {
	number, _ := value.(json.Number).Int64()
	return number
}

func wane(each vector, _ string) bool {
	tracker := thrum.NewWaneTracker()
	for _, step := range each["does"].([]any) {
		words := step.([]any)
		sigil := words[1].(string)
		holds := true
		switch words[0] {
		case "set":
			tracker.Set(sigil, uint64(integer(words[2])))
		case "get":
			holds = tracker.Get(sigil) == uint64(integer(words[2]))
		case "tick":
			holds = tracker.Tick(sigil) == uint64(integer(words[2]))
		case "behind":
			holds = tracker.Behind(sigil, uint64(integer(words[2]))) == words[3]
		}
		if !holds {
			return false
		}
	}
	return true
}

func problems(each vector, _ string) bool {
	found, wanted := thrum.Problems(each["tone"].(vector)), each["are"].([]any)
	if len(found) != len(wanted) {
		return false
	}
	for at, text := range wanted {
		if found[at] != text {
			return false
		}
	}
	return true
}

func lines(each vector, _ string) bool {
	reader := thrum.LineReader{Max: 64}
	heard := []any{}
	for _, piece := range each["pieces"].([]any) {
		var raw []byte
		for _, char := range piece.(string) {
			raw = append(raw, byte(char))
		}
		for _, tone := range reader.Feed(raw) {
			heard = append(heard, tone)
		}
	}
	return reflect.DeepEqual(heard, each["tones"]) && reader.Skipped == int(integer(each["skipped"]))
}

func socket(each vector, folder string) bool {
	os.RemoveAll(folder)
	os.MkdirAll(folder+"/state/hum", 0o700)
	env := map[string]string{
		"HOME": folder + "/home", "XDG_STATE_HOME": folder + "/state",
		"HUM_THRUM_SOCK": "", "HUM_SOCKET": "",
	}
	for name, value := range each["env"].(vector) {
		env[name] = value.(string)
	}
	for name, value := range env {
		os.Setenv(name, value)
	}
	if each["runtime"] != nil {
		text, _ := json.Marshal(each["runtime"])
		os.WriteFile(folder+"/state/hum/runtime.json", text, 0o600)
	}
	wanted := strings.ReplaceAll(each["is"].(string), "$STATE", folder+"/state")
	return thrum.DefaultSocketPath() == strings.ReplaceAll(wanted, "$HOME", folder+"/home")
}

var checks = map[string]func(vector, string) bool{
	"sigil": func(v vector, _ string) bool {
		return thrum.Sigil(v["sid"].(string), v["nest"].(string)) == v["is"]
	},
	"rid": func(v vector, _ string) bool {
		return thrum.RidOf(integer(v["ms"]), integer(v["counter"])) == v["is"]
	},
	"dusk": func(v vector, _ string) bool {
		ahead := thrum.DuskIn(60000) - thrum.NowMs()
		return thrum.IsDuskAt(v["tone"].(vector), integer(v["now"])) == v["is"] && ahead > 0
	},
	"wane": wane,
	"chi":  func(v vector, _ string) bool { return thrum.IsValidChi(v["chi"].(string)) == v["is"] },
	"envelope": func(v vector, _ string) bool {
		tone := v["tone"].(vector)
		return thrum.IsEnvelope(tone) == v["is"] && thrum.IsKnownTone(tone) == v["known"]
	},
	"problems": problems,
	"lines":    lines,
	"socket":   socket,
}

func vectors(file, folder string) {
	text, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var groups map[string][]vector
	if err := decoder.Decode(&groups); err != nil {
		panic(err)
	}
	passed, failed := map[string]int{}, []string{}
	for name, group := range groups {
		for _, each := range group {
			if checks[name](each, folder) {
				passed[name]++
			} else {
				failed = append(failed, fmt.Sprint(name, each))
			}
		}
	}
	say(vector{"passed": passed, "failed": failed})
}

func turn(path string) {
	worker, asker := thrum.NewClient(path), thrum.NewClient(path)
	worker.Hello = thrum.Tone{
		"rid": "hello", "hive": "go", "bee": []string{"worker"}, "models": []string{"go"},
	}
	worker.NoReconnect, asker.NoReconnect = true, true
	registered, over := make(chan bool), make(chan thrum.Tone)
	worker.OnAny(func(tone thrum.Tone) {
		switch tone["chi"] {
		case thrum.ChiEcho:
			registered <- true
		case thrum.ChiPrompt:
			for _, char := range tone["content"].(string) {
				worker.Send(thrum.Tone{
					"chi": thrum.ChiChunk, "sid": tone["sid"], "chunkType": "text_delta",
					"delta": string(char),
				})
			}
			worker.Send(thrum.Tone{
				"chi": thrum.ChiFinish, "sid": tone["sid"], "finishReason": "end_turn",
			})
		}
	})
	text := ""
	asker.On("turn-go", func(tone thrum.Tone) {
		if tone["chi"] == thrum.ChiChunk {
			text += tone["delta"].(string)
		} else if tone["chi"] == thrum.ChiFinish {
			over <- tone
		}
	})
	go worker.Run()
	<-registered
	if err := asker.Connect(); err != nil {
		panic(err)
	}
	go asker.Run()
	asker.Send(thrum.Tone{
		"chi": thrum.ChiPrompt, "rid": thrum.Rid(), "sid": "turn-go", "modelId": "go",
		"content": "Grüße ☕",
	})
	finish := <-over
	worker.Close()
	asker.Close()
	say(vector{"text": text, "finish": finish})
}

func reconnect(path, hid string) {
	bee := thrum.NewClient(path)
	bee.Hello = thrum.Tone{"rid": "h", "hive": "go", "hid": hid}
	bee.OnAny(func(tone thrum.Tone) {
		say(tone)
		if tone["chi"] == thrum.ChiFinish {
			bee.Close()
		}
	})
	bee.Send(thrum.Tone{"chi": thrum.ChiPrompt, "rid": "kept", "sid": "s"})
	if bee.Send(thrum.Tone{"chi": thrum.ChiPrompt, "sid": "s"}) == thrum.ErrNotConnected {
		say(vector{"chi": "refused"})
	}
	bee.Run()
	say(vector{"chi": "over", "unsettled": bee.Unsettled()})
}

func say(value any) {
	text, _ := json.Marshal(value)
	fmt.Println(string(text))
}

func main() {
	switch os.Args[1] {
	case "vectors":
		vectors(os.Args[2], os.Args[3])
	case "turn":
		turn(os.Args[2])
	case "reconnect":
		reconnect(os.Args[2], os.Args[3])
	}
}
