// A caller on pion, for comparison: places N full-duplex Opus calls and tells what they cost this process.
//
// Reads answers from stdin and writes offers to stdout, one JSON line each, so that the same far end serves it and
// our own callers. Each call sends a 60-byte frame every 20 ms from one ticker for all, and reads what comes.
// Built from Debian's packages: GO111MODULE=off GOPATH=/usr/share/gocode go build
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/pion/webrtc/v3"
	"github.com/pion/webrtc/v3/pkg/media"
)

func cpuSeconds() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Sec+usage.Stime.Sec) + float64(usage.Utime.Usec+usage.Stime.Usec)/1e6
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func place(api *webrtc.API, lines *bufio.Reader) (*webrtc.PeerConnection, *webrtc.TrackLocalStaticSample) {
	connection, err := api.NewPeerConnection(webrtc.Configuration{})
	must(err)
	track, err := webrtc.NewTrackLocalStaticSample(
		webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "audio", "caller")
	must(err)
	_, err = connection.AddTrack(track)
	must(err)
	_, err = connection.CreateDataChannel("oai-events", nil)
	must(err)
	connection.OnTrack(func(remote *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		buffer := make([]byte, 1500)
		for {
			if _, _, err := remote.Read(buffer); err != nil {
				return
			}
		}
	})
	connected := make(chan struct{})
	connection.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateConnected {
			close(connected)
		}
	})
	offer, err := connection.CreateOffer(nil)
	must(err)
	gathered := webrtc.GatheringCompletePromise(connection)
	must(connection.SetLocalDescription(offer))
	<-gathered
	encoded, _ := json.Marshal(map[string]string{"offer": connection.LocalDescription().SDP})
	fmt.Println(string(encoded))
	line, err := lines.ReadBytes('\n')
	must(err)
	var answer map[string]string
	must(json.Unmarshal(line, &answer))
	must(connection.SetRemoteDescription(
		webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer["answer"]}))
	<-connected
	return connection, track
}

func main() {
	calls, _ := strconv.Atoi(os.Args[1])
	seconds, _ := strconv.ParseFloat(os.Args[2], 64)
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	engine := &webrtc.MediaEngine{}
	must(engine.RegisterDefaultCodecs())
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(engine))
	lines := bufio.NewReader(os.Stdin)
	tracks := make([]*webrtc.TrackLocalStaticSample, calls)
	for i := range tracks {
		_, tracks[i] = place(api, lines)
	}
	frame := make([]byte, 60)
	frame[0] = 0x78
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			for _, track := range tracks {
				_ = track.WriteSample(media.Sample{Data: frame, Duration: 20 * time.Millisecond})
			}
		}
	}()
	time.Sleep(2 * time.Second)
	cpu, wall := cpuSeconds(), time.Now()
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	share := 100 * (cpuSeconds() - cpu) / time.Since(wall).Seconds() / float64(calls)
	encoded, _ := json.Marshal(map[string]float64{"share": share})
	fmt.Println(string(encoded))
}
