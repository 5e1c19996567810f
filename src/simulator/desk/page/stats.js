// What a running call measures (W3C webrtc-stats), in the few figures that a person reads.

/** Sums up a call's stats. Times in ms, rates in kbit/s; undefined is unknown. */
export function summarize(report, before) {
  const all = [...report.values()];
  const byId = new Map(all.map((s) => [s.id, s]));
  const rtp = (type, kind) => all.find((s) => s.type === type && s.kind === kind);
  const [inbound, outbound] = [rtp("inbound-rtp", "audio"), rtp("outbound-rtp", "audio")];
  const remote = rtp("remote-inbound-rtp", "audio");
  const transport = all.find((s) => s.type === "transport");
  const pair = byId.get(transport?.selectedCandidatePairId);
  const codec = byId.get(inbound?.codecId ?? outbound?.codecId);
  const candidate = (id) => {
    const c = byId.get(id);
    return c && `${c.candidateType}/${c.protocol}`;
  };
  const ms = (s) => (s === undefined ? undefined : Math.round(s * 1000));
  const played = inbound?.totalSamplesReceived ?? 0;
  const summary = {
    at: Date.now(),
    codec: codec && `${codec.mimeType.split("/")[1]}/${codec.clockRate}`,
    fmtp: codec?.sdpFmtpLine,
    rtt_ms: ms(remote?.roundTripTime ?? pair?.currentRoundTripTime),
    local_candidate: candidate(pair?.localCandidateId),
    remote_candidate: candidate(pair?.remoteCandidateId),
    received: inbound && {
      packets: inbound.packetsReceived,
      bytes: inbound.bytesReceived,
      lost: inbound.packetsLost,
      jitter_ms: ms(inbound.jitter),
      fec_packets: inbound.fecPacketsReceived,
      concealed_samples: inbound.concealedSamples,
      silent_concealed_samples: inbound.silentConcealedSamples,
      total_samples: played,
      concealed_percent: played ? (100 * (inbound.concealedSamples - inbound.silentConcealedSamples)) / played : 0,
      jitter_buffer_ms: inbound.jitterBufferEmittedCount
        ? Math.round((1000 * inbound.jitterBufferDelay) / inbound.jitterBufferEmittedCount)
        : undefined,
      energy: inbound.totalAudioEnergy,
    },
    sent: outbound && {
      packets: outbound.packetsSent,
      bytes: outbound.bytesSent,
      reported_lost: remote?.packetsLost,
      reported_jitter_ms: ms(remote?.jitter),
    },
  };
  const seconds = before ? (summary.at - before.at) / 1000 : 0;
  const rate = (now, then) => (seconds > 0 && then ? Math.round(((now.bytes - then.bytes) * 8) / 1000 / seconds) : undefined);
  if (summary.received) summary.received.kbps = rate(summary.received, before?.received);
  if (summary.sent) summary.sent.kbps = rate(summary.sent, before?.sent);
  return summary;
}

/** The lines to show: pairs of term and text. */
export function lines(s) {
  const or = (value, unit = "") => (value === undefined || value === null ? "–" : `${value}${unit}`);
  const { received, sent } = s;
  return [
    ["Codec", or(s.codec)],
    ["Round trip", or(s.rtt_ms, " ms")],
    ["Received", `${or(received?.packets)} packets, ${or(received?.kbps, " kbit/s")}`],
    ["Lost", `${or(received?.lost)} in, ${or(sent?.reported_lost)} out`],
    ["Jitter", or(received?.jitter_ms, " ms")],
    ["Buffer", or(received?.jitter_buffer_ms, " ms")],
    ["Concealed", `${(received?.concealed_percent ?? 0).toFixed(2)} %`],
    ["Sent", `${or(sent?.packets)} packets, ${or(sent?.kbps, " kbit/s")}`],
    ["Way", `${or(s.local_candidate)} – ${or(s.remote_candidate)}`],
  ];
}
