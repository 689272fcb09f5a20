// Swagger UI with the operations of this server. The page loads no script from another server.
safeDocument().then((spec) => {
  window.ui = SwaggerUIBundle({
    spec,
    dom_id: "#ui",
    deepLinking: true,
    tryItOutEnabled: true,
    persistAuthorization: false,
    validatorUrl: null,
  });
});
