// ReDoc with the operations of this server.
Redoc.init("/openapi.json", { disableSearch: true, hideDownloadButtons: true }, document.getElementById("ui"));
