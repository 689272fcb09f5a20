// ReDoc with the operations of this server.
safeDocument().then((spec) => {
  const options = { disableSearch: true, hideDownloadButtons: true, sanitize: true, untrustedSpec: true };
  Redoc.init(spec, options, document.getElementById("ui"));
});
