# Both programs, static, without a shell, as a user without rights. The first process collects the processes of tools whose parent
# has ended, so it takes no other init.
#
#   docker build --build-arg VERSION=1.2.3 -t belay .
#   docker run --rm -p 127.0.0.1:8222:8222 -v belay:/var/lib/belay belay serve --server nats://nats:4222 --listen :8222
#   docker run --rm -v ./tools.yaml:/etc/belay/tools.yaml:ro --entrypoint worker belay --server nats://nats:4222 --tools /etc/belay/tools.yaml
#
# Tools that start programs need an image with these programs in it: COPY --from=belay /usr/local/bin/worker /usr/local/bin/.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=0.1.0-dev
RUN CGO_ENABLED=0 GOFLAGS=-buildvcs=false go build -trimpath -ldflags "-s -w -X belay/internal/cli.Version=${VERSION}" -o /out/usr/local/bin/ ./cmd/...
RUN mkdir -p /out/etc/belay /out/var/lib/belay /out/tmp && chmod 1777 /out/tmp && chown 65532:65532 /out/var/lib/belay \
 && echo 'belay:x:65532:65532:Belay:/var/lib/belay:/sbin/nologin' > /out/etc/passwd && echo 'belay:x:65532:' > /out/etc/group

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=build /out/ /
USER 65532:65532
ENV PATH=/usr/local/bin XDG_STATE_HOME=/var/lib BELAY_LOG_FORMAT=json
WORKDIR /var/lib/belay
VOLUME /var/lib/belay
STOPSIGNAL SIGTERM
ENTRYPOINT ["dispatcher"]
CMD ["--help"]
